//! What is in a file, and how files of older versions become like it.

use rusqlite::{Connection, TransactionBehavior};

use super::trouble;
use crate::{Class, StoreError, StoreErrorKind};

/// Says of a file that it is one of ours: `SFST`.
const APPLICATION: i64 = 0x5346_5354;

/// What makes a file of one version a file of the next. Never changed, only added to.
const MIGRATIONS: [fn() -> String; 1] = [tables];

/// The first version: a table for each class, all alike.
fn tables() -> String {
    let table = |class: Class| {
        let name = class.as_str();
        format!(
            "CREATE TABLE {name} (\
               key TEXT PRIMARY KEY NOT NULL, user TEXT, at INTEGER NOT NULL, until INTEGER, \
               version INTEGER NOT NULL, body TEXT NOT NULL, sum BLOB NOT NULL) STRICT;\
             CREATE INDEX {name}_user ON {name} (user, key) WHERE user IS NOT NULL;\
             CREATE INDEX {name}_until ON {name} (until) WHERE until IS NOT NULL;"
        )
    };
    Class::ALL.map(table).concat()
}

/// Makes a new file what a file has to be, and closes it. It may not be on the disk yet.
pub(super) fn create(mut connection: Connection) -> Result<(), StoreError> {
    let doing = "making a file";
    let batch = |connection: &Connection, sql: &str| {
        let done = connection.execute_batch(sql);
        done.map_err(trouble::of(doing))
    };
    let begin = format!(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA auto_vacuum = INCREMENTAL; \
         PRAGMA application_id = {APPLICATION};"
    );
    batch(&connection, &begin)?;
    migrate(&mut connection)?;
    // Later it would be one more thing to bring to the disk.
    batch(&connection, "PRAGMA journal_mode = WAL;")?;
    connection
        .close()
        .map_err(|(_connection, error)| trouble::of(doing)(error))
}

/// Makes sure that it is one of ours, and of this version.
pub(super) fn bring_up(connection: &mut Connection) -> Result<(), StoreError> {
    look(connection)?;
    migrate(connection)
}

/// Makes sure that it is one of ours, and not newer.
pub(super) fn look(connection: &Connection) -> Result<(), StoreError> {
    let doing = "looking at the first page of a file";
    let application = number(connection, "application_id").map_err(trouble::of(doing))?;
    match application == APPLICATION {
        true => version(connection).map(drop),
        // Also of a file that was cut to nothing, which is an empty database to SQLite.
        false => Err(trouble::corrupt(doing)),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let doing = "bringing a file up to this version";
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble::of(doing))?;
    // Another process may have been faster.
    let from = version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(from) {
        transaction
            .execute_batch(&migration())
            .map_err(trouble::of(doing))?;
    }
    transaction
        .pragma_update(None, "user_version", MIGRATIONS.len())
        .map_err(trouble::of(doing))?;
    transaction.commit().map_err(trouble::of(doing))
}

/// How many migrations it has seen.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    let doing = "reading the version of a file";
    let version = number(connection, "user_version").map_err(trouble::of(doing))?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        Ok(_) => Err(StoreError::new(StoreErrorKind::Newer, doing)),
        Err(_) => Err(trouble::corrupt(doing)),
    }
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}
