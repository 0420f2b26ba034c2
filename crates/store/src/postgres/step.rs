//! A commit, cut into as few statements as it takes.

use sqlx::PgConnection;
use uuid::Uuid;

use super::row::saturated;
use super::statements;
use crate::{Class, Row, Write};

/// A part of a commit that is one statement, for different rows of one table.
pub(super) struct Step {
    class: Class,
    what: What,
    rows: Columns,
}

/// What becomes of the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Delete,
    /// If there is none.
    Insert,
    Put,
    /// If it is in the version that was seen.
    Swap,
}

/// Rows, by column. Of those that are deleted there are keys only, and versions only of those that are swapped.
#[derive(Default)]
struct Columns {
    keys: Vec<String>,
    users: Vec<Option<Uuid>>,
    ats: Vec<i64>,
    untils: Vec<Option<i64>>,
    bodies: Vec<String>,
    seen: Vec<i64>,
}

impl Columns {
    fn push(&mut self, row: Row) {
        self.keys.push(row.key);
        self.users.push(row.user.map(|user| user.as_uuid()));
        self.ats.push(saturated(row.at));
        self.untils.push(row.until.map(saturated));
        self.bodies.push(row.body);
    }

    fn add(&mut self, write: Write) {
        match write {
            Write::Delete { key, .. } => self.keys.push(key),
            Write::Insert { row, .. } | Write::Put { row, .. } => self.push(row),
            Write::Swap { row, seen, .. } => {
                self.push(row);
                self.seen.push(saturated(seen));
            }
        }
    }
}

/// The steps of these writes. What is done to one row stays in its order; what is done to others has nothing to do with it, so
/// first comes what is done to each row first, then what is done second. Rows are taken in the order of their keys, so that no
/// two commits ever wait for each other.
pub(super) fn steps(mut writes: Vec<Write>) -> Vec<Step> {
    writes.sort_by(|one, other| place(one).cmp(&place(other)));
    let mut turn = 0;
    let mut turns = Vec::with_capacity(writes.len());
    for at in 0..writes.len() {
        let is_same = at > 0 && place(&writes[at - 1]) == place(&writes[at]);
        turn = if is_same { turn + 1 } else { 0 };
        turns.push(turn);
    }
    let mut writes: Vec<(usize, Write)> = turns.into_iter().zip(writes).collect();
    // Stable: of one turn, in the order of the keys.
    writes.sort_by_key(|(turn, write)| (write.class(), *turn));
    let mut steps = Vec::<(usize, Step)>::new();
    for (turn, write) in writes {
        let (class, what) = (write.class(), what(&write));
        match steps.last_mut() {
            Some((last, step)) if (*last, step.class, step.what) == (turn, class, what) => {
                step.rows.add(write);
            }
            _ => {
                let mut rows = Columns::default();
                rows.add(write);
                steps.push((turn, Step { class, what, rows }));
            }
        }
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

fn place(write: &Write) -> (Class, &str) {
    (write.class(), write.key())
}

fn what(write: &Write) -> What {
    match write {
        Write::Delete { .. } => What::Delete,
        Write::Insert { .. } => What::Insert,
        Write::Put { .. } => What::Put,
        Write::Swap { .. } => What::Swap,
    }
}

impl Step {
    /// Whether its condition was met. If not, the transaction is of no use any more.
    pub(super) async fn carry_out(
        &self,
        org: Uuid,
        now: i64,
        transaction: &mut PgConnection,
    ) -> sqlx::Result<bool> {
        let (statements, rows) = (statements::of(self.class), &self.rows);
        let statement = match self.what {
            What::Delete => {
                let delete = sqlx::query(statements.delete).bind(org).bind(&rows.keys);
                delete.execute(transaction).await?;
                return Ok(true);
            }
            What::Insert => statements.insert,
            What::Put => statements.put,
            What::Swap => statements.swap,
        };
        if self.what == What::Swap && rows.keys.len() > 1 {
            // The database would take them in whatever order it finds best.
            let hold = sqlx::query(statements.hold).bind(org).bind(&rows.keys);
            hold.execute(&mut *transaction).await?;
        }
        let mut changed = sqlx::query(statement)
            .bind(org)
            .bind(&rows.keys)
            .bind(&rows.users)
            .bind(&rows.ats)
            .bind(&rows.untils)
            .bind(&rows.bodies)
            .bind(now);
        if self.what == What::Swap {
            changed = changed.bind(&rows.seen);
        }
        let changed = changed.execute(transaction).await?;
        Ok(changed.rows_affected() == rows.keys.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An erasure swaps each row and deletes it: that is two statements, and not two for each row.
    #[test]
    fn what_is_done_to_many_rows_is_a_few_statements() {
        let class = Class::Documents;
        let erased = |n: usize| {
            let row = Row::new(format!("{n:03}"), 1, "x");
            let key = row.key.clone();
            let seen = 0;
            [
                Write::Swap { class, row, seen },
                Write::Delete { class, key },
            ]
        };
        let steps = steps((0..100).rev().flat_map(erased).collect());
        assert_eq!(steps.len(), 2);
        assert!(steps[0].what == What::Swap && steps[1].what == What::Delete);
        for step in steps {
            assert!(step.rows.keys.len() == 100 && step.rows.keys.is_sorted());
        }
    }
}
