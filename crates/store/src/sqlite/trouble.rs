//! What SQLite and the disk say, as errors of a store.

use std::io;

use rusqlite::{Error, ErrorCode};

use crate::{StoreError, StoreErrorKind};

/// What went wrong in the database.
pub(super) fn of(doing: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| StoreError::new(kind(&error), doing).because(error)
}

/// What went wrong on the disk.
pub(super) fn on_disk(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreErrorKind::NotAllowed
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::new(kind, doing).because(error)
    }
}

/// What is there is not what was written.
pub(super) fn corrupt(doing: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, doing)
}

fn kind(error: &Error) -> StoreErrorKind {
    let code = match error {
        Error::SqliteFailure(error, _) | Error::SqlInputError { error, .. } => error.code,
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => return StoreErrorKind::Corrupt,
        _ => return StoreErrorKind::Unavailable,
    };
    match code {
        // A table that is missing, or another one than was made, is not what was written either.
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown => {
            StoreErrorKind::Corrupt
        }
        ErrorCode::DiskFull => StoreErrorKind::Full,
        ErrorCode::TooBig => StoreErrorKind::Invalid,
        ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::AuthorizationForStatementDenied => StoreErrorKind::NotAllowed,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreErrorKind::TooBusy,
        _ => StoreErrorKind::Unavailable,
    }
}
