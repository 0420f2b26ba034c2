//! Rows in tables.

use rusqlite::{Connection, OptionalExtension as _, params};
use stageflow_context::OrgId;

use super::{checksum, trouble};
use crate::{Class, Row, Scan, StoreError, Write};

/// Carries out one change. Whether its condition was met; if not, it has done nothing.
pub(super) fn apply(
    connection: &Connection,
    org: OrgId,
    write: &Write,
    now: u64,
) -> Result<bool, StoreError> {
    let (class, key) = (write.class(), write.key());
    let found = match write {
        Write::Delete { .. } => None,
        _ => version(connection, class, key, now)?,
    };
    let (row, version) = match (write, found) {
        (Write::Delete { .. }, _) => return delete(connection, class, key).map(|()| true),
        (Write::Insert { row, .. } | Write::Put { row, .. }, None) => (row, 0),
        (Write::Put { row, .. }, Some(version)) => (row, version + 1),
        (Write::Swap { row, seen, .. }, Some(version)) if version == *seen => (row, version + 1),
        (Write::Insert { .. } | Write::Swap { .. }, _) => return Ok(false),
    };
    put(connection, (org, class), row, version).map(|()| true)
}

fn version(
    connection: &Connection,
    class: Class,
    key: &str,
    now: u64,
) -> Result<Option<u64>, StoreError> {
    let doing = "looking for a row";
    let table = class.as_str();
    let sql =
        format!("SELECT version FROM {table} WHERE key = ?1 AND (until IS NULL OR until > ?2)");
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(trouble::of(doing))?;
    let version = statement.query_row(params![key, now], |row| row.get(0));
    version.optional().map_err(trouble::of(doing))
}

fn delete(connection: &Connection, class: Class, key: &str) -> Result<(), StoreError> {
    let doing = "deleting a row";
    let sql = format!("DELETE FROM {} WHERE key = ?1", class.as_str());
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(trouble::of(doing))?;
    statement
        .execute([key])
        .map(drop)
        .map_err(trouble::of(doing))
}

fn put(
    connection: &Connection,
    (org, class): (OrgId, Class),
    row: &Row,
    version: u64,
) -> Result<(), StoreError> {
    let doing = "writing a row";
    let sql = format!(
        "INSERT INTO {} (key, user, at, until, version, body, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (key) DO UPDATE SET user = ?2, at = ?3, until = ?4, version = ?5, body = ?6, sum = ?7",
        class.as_str()
    );
    let user = row.user.map(|user| user.to_string());
    let sum = checksum::of(org, class, row, user.as_deref(), version);
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(trouble::of(doing))?;
    let values = params![row.key, user, row.at, row.until, version, row.body, sum];
    statement
        .execute(values)
        .map(drop)
        .map_err(trouble::of(doing))
}

pub(super) fn get(
    connection: &Connection,
    org: OrgId,
    class: Class,
    key: &str,
    now: u64,
) -> Result<Option<Row>, StoreError> {
    let doing = "reading a row";
    let sql = format!(
        "SELECT key, user, at, until, version, body, sum FROM {} \
         WHERE key = ?1 AND (until IS NULL OR until > ?2)",
        class.as_str()
    );
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(trouble::of(doing))?;
    let found = statement.query_row(params![key, now], read).optional();
    let checked = |found| checked(found, org, class);
    found.map_err(trouble::of(doing))?.map(checked).transpose()
}

pub(super) fn scan(
    connection: &Connection,
    org: OrgId,
    scan: &Scan,
    now: u64,
) -> Result<Vec<Row>, StoreError> {
    let doing = "reading rows";
    let of_user = match scan.user {
        Some(_) => "user = ?6",
        None => "?6 IS NULL",
    };
    let sql = format!(
        "SELECT key, user, at, until, version, body, sum FROM {} \
         WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) AND (?3 IS NULL OR key > ?3) \
         AND (?4 IS NULL OR at < ?4) AND (until IS NULL OR until > ?5) AND {of_user} \
         ORDER BY key LIMIT ?7",
        scan.class.as_str()
    );
    let mut statement = connection
        .prepare_cached(&sql)
        .map_err(trouble::of(doing))?;
    // Where to start is one bound, so that pages far down do not read those before.
    let from = scan
        .after
        .as_ref()
        .map_or(&scan.prefix, |after| after.max(&scan.prefix));
    let user = scan.user.map(|user| user.to_string());
    let values = params![
        from,
        scan.ceiling(),
        scan.after,
        scan.before,
        now,
        user,
        scan.most
    ];
    let found = statement
        .query_map(values, read)
        .map_err(trouble::of(doing))?;
    let checked = |found| checked(found, org, scan.class);
    found
        .map(|row| row.map_err(trouble::of(doing)).and_then(checked))
        .collect()
}

/// Deletes some of the rows whose time is over. How many.
pub(super) fn forget_old(connection: &Connection, now: u64) -> Result<usize, StoreError> {
    let doing = "forgetting rows";
    let mut count = 0;
    for class in Class::ALL {
        let table = class.as_str();
        let sql = format!(
            "DELETE FROM {table} WHERE rowid IN \
             (SELECT rowid FROM {table} WHERE until IS NOT NULL AND until <= ?1 LIMIT 256)"
        );
        let mut statement = connection
            .prepare_cached(&sql)
            .map_err(trouble::of(doing))?;
        count += statement.execute([now]).map_err(trouble::of(doing))?;
    }
    Ok(count)
}

/// A row as it was found, and its checksum.
struct Found {
    row: Row,
    user: Option<String>,
    sum: Vec<u8>,
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        user: row.get(1)?,
        sum: row.get(6)?,
        row: Row {
            key: row.get(0)?,
            user: None,
            at: row.get(2)?,
            until: row.get(3)?,
            version: row.get(4)?,
            body: row.get(5)?,
        },
    })
}

fn checked(found: Found, org: OrgId, class: Class) -> Result<Row, StoreError> {
    let Found { mut row, user, sum } = found;
    let doing = "comparing a row with its checksum";
    if checksum::of(org, class, &row, user.as_deref(), row.version)[..] != sum {
        return Err(trouble::corrupt(doing));
    }
    if let Some(user) = user {
        row.user = Some(user.parse().map_err(|_| trouble::corrupt(doing))?);
    }
    Ok(row)
}
