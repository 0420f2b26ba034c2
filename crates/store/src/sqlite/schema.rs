//! What is in a file, and how files of older versions become like it.

use rusqlite::{Connection, TransactionBehavior};
use stageflow_context::OrgId;

use super::{checksum, trouble};
use crate::{Class, StoreError, StoreErrorKind};

/// Says of a file that it is one of ours: `SFST`.
const APPLICATION: i64 = 0x5346_5354;

/// Makes a file of one version a file of the next.
type Migration = fn(&Connection, OrgId) -> Result<(), StoreError>;

/// Those of all versions. Never changed, only added to.
const MIGRATIONS: [Migration; 2] = [tables, owner];

const BRINGING_UP: &str = "bringing a file up to this version";

/// The first version: a table for each class, all alike.
fn tables(connection: &Connection, _: OrgId) -> Result<(), StoreError> {
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
    connection
        .execute_batch(&Class::ALL.map(table).concat())
        .map_err(trouble::of(BRINGING_UP))
}

/// The second: it says whose it is, and so does the checksum of each row.
fn owner(connection: &Connection, org: OrgId) -> Result<(), StoreError> {
    let make =
        "CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), org BLOB NOT NULL) STRICT";
    connection
        .execute_batch(make)
        .map_err(trouble::of(BRINGING_UP))?;
    connection
        .execute(
            "INSERT INTO owner VALUES (1, ?1)",
            [org.as_uuid().as_bytes()],
        )
        .map_err(trouble::of(BRINGING_UP))?;
    checksum::renew(connection, org)
}

/// Makes a new file what a file has to be, and closes it. It may not be on the disk yet.
pub(super) fn create(mut connection: Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = "making a file";
    let batch = |connection: &Connection, sql: &str| {
        let done = connection.execute_batch(sql);
        done.map_err(trouble::of(doing))
    };
    let begin = format!(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA auto_vacuum = INCREMENTAL; \
         PRAGMA application_id = {APPLICATION};"
    );
    // Nobody else sees it before it is whole, so it needs no file beside it.
    batch(&connection, &begin)?;
    migrate(&mut connection, org)?;
    // Later it would be one more thing to bring to the disk; and of two that do it at once one fails instead of waiting.
    batch(&connection, "PRAGMA journal_mode = WAL;")?;
    connection
        .close()
        .map_err(|(_connection, error)| trouble::of(doing)(error))
}

/// Makes sure that it is of this version.
pub(super) fn bring_up(connection: &mut Connection, org: OrgId) -> Result<(), StoreError> {
    look(connection, org)?;
    migrate(connection, org)
}

/// Makes sure that it is one of ours and of this version.
pub(super) fn look_whole(connection: &Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = "reading a file that nobody has brought up to this version";
    look(connection, org)?;
    match version(connection)? == MIGRATIONS.len() {
        true => Ok(()),
        false => Err(StoreError::new(StoreErrorKind::Unavailable, doing)),
    }
}

/// Makes sure that it is one of ours, this org's, and not newer.
pub(super) fn look(connection: &Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = "looking at the first page of a file";
    let application = number(connection, "application_id").map_err(trouble::of(doing))?;
    match application == APPLICATION {
        // One of the first version does not say.
        true if version(connection)? < 2 => Ok(()),
        true => look_whose(connection, org),
        // Also of a file that was cut to nothing, which is an empty database to SQLite.
        false => Err(trouble::corrupt(doing)),
    }
}

/// Makes sure that it was not given to this org by another name or a copy.
fn look_whose(connection: &Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = "looking whose a file is";
    let whose = connection.query_row("SELECT org FROM owner", [], |row| row.get::<_, [u8; 16]>(0));
    match whose {
        Ok(whose) if whose == *org.as_uuid().as_bytes() => Ok(()),
        Ok(_) => Err(StoreError::new(StoreErrorKind::Foreign, doing)),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(trouble::corrupt(doing)),
        Err(error) => Err(trouble::of(doing)(error)),
    }
}

fn migrate(connection: &mut Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = BRINGING_UP;
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble::of(doing))?;
    // Another process may have been faster.
    let from = version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(from) {
        migration(&transaction, org)?;
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
