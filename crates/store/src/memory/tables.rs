//! The rows of one tenant.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::{Class, Row, Scan, Write};

/// By class, then by key: `String` is in the order of its bytes.
#[derive(Default)]
pub(super) struct Tables(BTreeMap<Class, BTreeMap<String, Row>>);

/// There is no room for another row.
pub(super) struct TooMany;

/// What a commit would change: `None` for a row that goes.
type Changes = HashMap<(Class, String), Option<Row>>;

impl Tables {
    pub(super) fn commit(
        &mut self,
        writes: Vec<Write>,
        now: u64,
        most: usize,
    ) -> Result<bool, TooMany> {
        let mut changes = Changes::new();
        for write in writes {
            if !self.plan(write, now, &mut changes) {
                return Ok(false);
            }
        }
        if self.len_after(&changes) > most {
            self.forget_old(now);
            if self.len_after(&changes) > most {
                return Err(TooMany);
            }
        }
        for ((class, key), row) in changes {
            let rows = self.0.entry(class).or_default();
            match row {
                Some(row) => drop(rows.insert(key, row)),
                None => drop(rows.remove(&key)),
            }
        }
        Ok(true)
    }

    /// What a change comes to after those before it. Whether its condition is met.
    fn plan(&self, write: Write, now: u64, changes: &mut Changes) -> bool {
        let place = (write.class(), write.key().to_owned());
        let found = match changes.get(&place) {
            Some(changed) => changed.as_ref().filter(|row| row.is_there(now)),
            None => self.get(place.0, &place.1, now),
        };
        let found = found.map(|row| row.version);
        let after = match (write, found) {
            (Write::Delete { .. }, _) => None,
            (Write::Insert { row, .. }, None) => Some(Row { version: 0, ..row }),
            (Write::Put { row, .. }, found) => {
                let version = found.map_or(0, |version| version + 1);
                Some(Row { version, ..row })
            }
            (Write::Swap { row, seen, .. }, Some(version)) if version == seen => {
                let version = version + 1;
                Some(Row { version, ..row })
            }
            (Write::Insert { .. } | Write::Swap { .. }, _) => return false,
        };
        changes.insert(place, after);
        true
    }

    pub(super) fn get(&self, class: Class, key: &str, now: u64) -> Option<&Row> {
        self.table(class)?.get(key).filter(|row| row.is_there(now))
    }

    pub(super) fn scan(&self, scan: &Scan, now: u64) -> Vec<Row> {
        let Some(rows) = self.table(scan.class) else {
            return Vec::new();
        };
        let from = match &scan.after {
            Some(after) if *after >= scan.prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(scan.prefix.as_str()),
        };
        rows.range::<str, _>((from, Bound::Unbounded))
            .map(|(_, row)| row)
            .take_while(|row| row.key.starts_with(&scan.prefix))
            .filter(|row| row.is_there(now) && scan.means(row))
            .take(scan.most as usize)
            .cloned()
            .collect()
    }

    fn table(&self, class: Class) -> Option<&BTreeMap<String, Row>> {
        self.0.get(&class)
    }

    /// How many rows there may be after these changes: those that go are counted still.
    fn len_after(&self, changes: &Changes) -> usize {
        let has = |class: &Class, key: &str| {
            let rows = self.table(*class);
            rows.is_some_and(|rows| rows.contains_key(key))
        };
        let added = changes
            .iter()
            .filter(|((class, key), row)| row.is_some() && !has(class, key));
        let held: usize = self.0.values().map(BTreeMap::len).sum();
        held + added.count()
    }

    pub(super) fn forget_old(&mut self, now: u64) {
        for rows in self.0.values_mut() {
            rows.retain(|_, row| row.is_there(now));
        }
    }
}
