//! A commit, cut into as few statements as it takes.

use sqlx::PgConnection;
use uuid::Uuid;

use super::row::saturated;
use super::statements;
use crate::{Class, Row, Write};

/// A part of a commit that is one statement.
pub(super) enum Step {
    Delete(Class, String),
    /// Different rows for the same table.
    Add(Class, Over, Columns),
    Swap(Class, Row, u64),
}

/// What becomes of rows that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Stopped,
    Written,
}

/// Rows, by column.
#[derive(Default)]
pub(super) struct Columns {
    keys: Vec<String>,
    users: Vec<Option<Uuid>>,
    ats: Vec<i64>,
    untils: Vec<Option<i64>>,
    bodies: Vec<String>,
}

impl Columns {
    fn push(&mut self, row: Row) {
        self.keys.push(row.key);
        self.users.push(row.user.map(|user| user.as_uuid()));
        self.ats.push(saturated(row.at));
        self.untils.push(row.until.map(saturated));
        self.bodies.push(row.body);
    }
}

/// The steps of these writes. What is done to one row stays in its order; rows are taken in the order of their keys, so that no
/// two commits ever wait for each other.
pub(super) fn steps(mut writes: Vec<Write>) -> Vec<Step> {
    writes.sort_by(|one, other| place(one).cmp(&place(other)));
    let mut steps = Vec::new();
    for write in writes {
        match write {
            Write::Delete { class, key } => steps.push(Step::Delete(class, key)),
            Write::Insert { class, row } => add(&mut steps, class, Over::Stopped, row),
            Write::Put { class, row } => add(&mut steps, class, Over::Written, row),
            Write::Swap { class, row, seen } => steps.push(Step::Swap(class, row, seen)),
        }
    }
    steps
}

fn place(write: &Write) -> (Class, &str) {
    match write {
        Write::Delete { class, key } => (*class, key),
        Write::Insert { class, row }
        | Write::Put { class, row }
        | Write::Swap { class, row, .. } => (*class, &row.key),
    }
}

/// Adds a row to the last step if that does the same to other keys: one statement cannot write a row twice.
fn add(steps: &mut Vec<Step>, class: Class, over: Over, row: Row) {
    if let Some(Step::Add(last, same, rows)) = steps.last_mut()
        && (*last, *same) == (class, over)
        && rows.keys.last() != Some(&row.key)
    {
        rows.push(row);
        return;
    }
    let mut rows = Columns::default();
    rows.push(row);
    steps.push(Step::Add(class, over, rows));
}

impl Step {
    /// Whether its condition was met. If not, the transaction is of no use any more.
    pub(super) async fn carry_out(
        &self,
        org: Uuid,
        now: i64,
        transaction: &mut PgConnection,
    ) -> sqlx::Result<bool> {
        match self {
            Self::Delete(class, key) => {
                let delete = sqlx::query(statements::of(*class).delete);
                delete.bind(org).bind(key).execute(transaction).await?;
                Ok(true)
            }
            Self::Add(class, over, rows) => {
                let statements = statements::of(*class);
                let statement = match over {
                    Over::Stopped => statements.insert,
                    Over::Written => statements.put,
                };
                let added = sqlx::query(statement)
                    .bind(org)
                    .bind(&rows.keys)
                    .bind(&rows.users)
                    .bind(&rows.ats)
                    .bind(&rows.untils)
                    .bind(&rows.bodies)
                    .bind(now)
                    .execute(transaction)
                    .await?;
                Ok(added.rows_affected() == rows.keys.len() as u64)
            }
            Self::Swap(class, row, seen) => {
                let swapped = sqlx::query(statements::of(*class).swap)
                    .bind(org)
                    .bind(&row.key)
                    .bind(row.user.map(|user| user.as_uuid()))
                    .bind(saturated(row.at))
                    .bind(row.until.map(saturated))
                    .bind(&row.body)
                    .bind(now)
                    .bind(saturated(*seen))
                    .execute(transaction)
                    .await?;
                Ok(swapped.rows_affected() == 1)
            }
        }
    }
}
