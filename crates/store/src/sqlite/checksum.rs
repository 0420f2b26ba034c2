//! A checksum for each row, which SQLite does not have: of all that the row says, and of whose it is.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use stageflow_context::OrgId;

use super::trouble;
use crate::{Class, Row, StoreError};

/// The first eight bytes of a SHA-256.
pub(super) type Sum = [u8; 8];

/// Of a row in a table of an org: the same row elsewhere has another one.
pub(super) fn of(org: OrgId, class: Class, row: &Row, user: Option<&str>, version: u64) -> Sum {
    let mut hash = Sha256::new();
    hash.update(org.as_uuid().as_bytes());
    add_text(&mut hash, class.as_str());
    add_row(&mut hash, row, user, version);
    first(hash)
}

/// What it was in files of version 1.
fn first_kind(row: &Row, user: Option<&str>, version: u64) -> Sum {
    let mut hash = Sha256::new();
    add_row(&mut hash, row, user, version);
    first(hash)
}

fn add_row(hash: &mut Sha256, row: &Row, user: Option<&str>, version: u64) {
    for text in [&row.key, user.unwrap_or_default(), &row.body] {
        add_text(hash, text);
    }
    for number in [row.at, row.until.unwrap_or(u64::MAX), version] {
        hash.update(number.to_be_bytes());
    }
}

fn add_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn first(hash: Sha256) -> Sum {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    first
}

/// Gives the rows of a file of version 1 the checksums of version 2. One that was wrong stays wrong.
pub(super) fn renew(connection: &Connection, org: OrgId) -> Result<(), StoreError> {
    let doing = "working out checksums anew";
    for class in Class::ALL {
        let table = class.as_str();
        let read = format!(
            "SELECT key, user, at, until, version, body, sum, rowid FROM {table} ORDER BY rowid"
        );
        let mut read = connection.prepare(&read).map_err(trouble::of(doing))?;
        let write = format!("UPDATE {table} SET sum = ?1 WHERE rowid = ?2");
        let mut write = connection.prepare(&write).map_err(trouble::of(doing))?;
        let mut rows = read.query([]).map_err(trouble::of(doing))?;
        while let Some(found) = rows.next().map_err(trouble::of(doing))? {
            let Old { row, user, sum, id } = Old::read(found).map_err(trouble::of(doing))?;
            if first_kind(&row, user.as_deref(), row.version)[..] == sum {
                let sum = of(org, class, &row, user.as_deref(), row.version);
                write
                    .execute(params![sum, id])
                    .map_err(trouble::of(doing))?;
            }
        }
    }
    Ok(())
}

/// A row of a file of version 1.
struct Old {
    row: Row,
    user: Option<String>,
    sum: Vec<u8>,
    id: i64,
}

impl Old {
    fn read(found: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let (key, body): (String, String) = (found.get(0)?, found.get(5)?);
        let row = Row::new(key, found.get(2)?, body).until(found.get::<_, Option<u64>>(3)?);
        let version = found.get(4)?;
        Ok(Self {
            row: Row { version, ..row },
            user: found.get(1)?,
            sum: found.get(6)?,
            id: found.get(7)?,
        })
    }
}
