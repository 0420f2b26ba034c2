//! What can be kept.

use crate::{Row, Scan, StoreError, StoreErrorKind, Write};

const MAX_KEY: usize = 255;

pub(super) fn key(key: &str) -> Result<(), StoreError> {
    match key.len() {
        1..=MAX_KEY if !key.contains('\0') => Ok(()),
        _ => Err(invalid("looking at a key")),
    }
}

fn row(row: &Row) -> Result<(), StoreError> {
    key(&row.key)?;
    let fits = |time: u64| i64::try_from(time).is_ok();
    let whole = !row.body.is_empty() && !row.body.contains('\0');
    match whole && fits(row.at) && row.until.is_none_or(fits) {
        true => Ok(()),
        false => Err(invalid("looking at a row")),
    }
}

pub(super) fn writes(writes: &[Write]) -> Result<(), StoreError> {
    writes.iter().try_for_each(|write| match write {
        Write::Delete { key: gone, .. } => key(gone),
        Write::Insert { row: new, .. }
        | Write::Put { row: new, .. }
        | Write::Swap { row: new, .. } => row(new),
    })
}

pub(super) fn scan(scan: &Scan) -> Result<(), StoreError> {
    let fits = |text: &String| text.len() <= MAX_KEY && !text.contains('\0');
    match fits(&scan.prefix) && scan.after.as_ref().is_none_or(fits) {
        true => Ok(()),
        false => Err(invalid("looking at what a scan asks for")),
    }
}

/// The first text, by bytes, that is greater than all that start with the prefix; `None` if there is none.
pub(super) fn ceiling(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn invalid(doing: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, doing)
}
