//! What a store must come to, worked out in the plainest way: a list of rows, searched from the front.

use crate::{Class, Row, Scan, Write};

#[derive(Clone, Default)]
pub(super) struct Oracle(Vec<(Class, Row)>);

impl Oracle {
    pub(super) fn commit(&mut self, writes: &[Write], now: u64) -> bool {
        let mut after = self.clone();
        for write in writes {
            if !after.write(write, now) {
                return false;
            }
        }
        *self = after;
        true
    }

    fn write(&mut self, write: &Write, now: u64) -> bool {
        self.0.retain(|(_, row)| match row.until {
            Some(until) => now < until,
            None => true,
        });
        let (class, row) = match write {
            Write::Delete { class, key } => {
                self.0
                    .retain(|(other, row)| !(other == class && row.key == *key));
                return true;
            }
            Write::Insert { class, row }
            | Write::Put { class, row }
            | Write::Swap { class, row, .. } => (*class, row),
        };
        let place = self
            .0
            .iter()
            .position(|(other, held)| *other == class && held.key == row.key);
        let held = place.map(|place| self.0[place].1.version);
        let version = match write {
            Write::Insert { .. } if held.is_some() => return false,
            Write::Swap { seen, .. } if held != Some(*seen) => return false,
            _ => held.map_or(0, |held| held + 1),
        };
        let mut row = row.clone();
        row.version = version;
        match place {
            Some(place) => self.0[place] = (class, row),
            None => self.0.push((class, row)),
        }
        true
    }

    pub(super) fn get(&self, class: Class, key: &str, now: u64) -> Option<Row> {
        let mut rows = self.scan(&Scan::of(class).most(u32::MAX), now);
        rows.retain(|row| row.key == key);
        rows.pop()
    }

    pub(super) fn scan(&self, scan: &Scan, now: u64) -> Vec<Row> {
        let mut found: Vec<Row> = Vec::new();
        for (class, row) in &self.0 {
            let is_over = matches!(row.until, Some(until) if until <= now);
            let is_before = matches!(scan.before, Some(before) if row.at >= before);
            let is_passed =
                matches!(&scan.after, Some(after) if row.key.as_bytes() <= after.as_bytes());
            let is_other = scan.user.is_some() && row.user != scan.user;
            let starts = row.key.as_bytes().starts_with(scan.prefix.as_bytes());
            if *class == scan.class && starts && !is_over && !is_before && !is_passed && !is_other {
                found.push(row.clone());
            }
        }
        found.sort_by(|one, two| one.key.as_bytes().cmp(two.key.as_bytes()));
        found.truncate(scan.most as usize);
        found
    }
}
