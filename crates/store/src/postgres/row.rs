//! Rows as they come out of a table.

use stageflow_context::UserId;
use uuid::Uuid;

use crate::{Row, StoreError, StoreErrorKind};

/// A row as the database gives it: key, user, at, until, version, body.
pub(super) type Found = (String, Option<Uuid>, i64, Option<i64>, i64, String);

/// The row that was kept.
pub(super) fn read((key, user, at, until, version, body): Found) -> Result<Row, StoreError> {
    let corrupt = || StoreError::new(StoreErrorKind::Corrupt, "read a row");
    let number = |number: i64| u64::try_from(number).map_err(|_| corrupt());
    let user = user.map(UserId::from_uuid).transpose();
    let row = Row::new(key, number(at)?, body)
        .about(user.map_err(|error| corrupt().because(error))?)
        .until(until.map(number).transpose()?);
    let version = number(version)?;
    Ok(Row { version, ..row })
}

/// A time or a number as the database keeps it. What does not fit was refused before.
pub(super) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
