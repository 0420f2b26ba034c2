//! Nothing is left of what was deleted.

use rusqlite::Connection;

use super::{rows, trouble};
use crate::{StoreError, StoreErrorKind};

/// Deletes what is past its time, writes the file anew, and empties the log beside it.
///
/// `secure_delete` overwrites rows that are deleted, but not the copies that are left in a page when rows move inside it. A file
/// that was written anew has only what is there.
pub(super) fn scrub(connection: &Connection, now: u64) -> Result<(), StoreError> {
    let doing = "scrubbing a file";
    while rows::forget_old(connection, now)? > 0 {}
    connection
        .execute_batch("VACUUM")
        .map_err(trouble::of(doing))?;
    let mut statement = connection
        .prepare("PRAGMA wal_checkpoint(TRUNCATE)")
        .map_err(trouble::of(doing))?;
    let is_held_up: bool = statement
        .query_row([], |row| row.get(0))
        .map_err(trouble::of(doing))?;
    match is_held_up {
        // Somebody has read for longer than one waits for them.
        true => Err(StoreError::new(StoreErrorKind::TooBusy, doing)),
        false => Ok(()),
    }
}
