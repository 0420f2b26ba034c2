//! What an error of the database means for whoever uses the store.

use std::error::Error as StdError;
use std::fmt;

use sqlx::Error;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use crate::{StoreError, StoreErrorKind};

/// What the database said, without what is kept: details of an error may quote whole rows.
#[derive(Debug)]
struct Said {
    code: String,
    message: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl StdError for Said {}

/// What could not be done, and why.
pub(super) fn failed(doing: &'static str) -> impl Fn(Error) -> StoreError {
    move |error| match error.as_database_error() {
        Some(database) => {
            let database = database.downcast_ref::<PgDatabaseError>();
            StoreError::new(meaning(database.code()), doing).because(said(database))
        }
        None => match error {
            Error::Configuration(_) => {
                StoreError::new(StoreErrorKind::Invalid, "read the address of the database")
            }
            Error::Decode(_) | Error::ColumnDecode { .. } => {
                StoreError::new(StoreErrorKind::Corrupt, doing)
            }
            other => StoreError::new(StoreErrorKind::Unavailable, doing).because(other),
        },
    }
}

/// Why the tables could not be brought up to date.
pub(super) fn not_migrated(error: MigrateError) -> StoreError {
    const DOING: &str = "bring the tables up to date";
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            failed(DOING)(error)
        }
        MigrateError::VersionMissing(version) => StoreError::new(StoreErrorKind::Newer, DOING)
            .because(format!("this program does not know version {version}")),
        other => StoreError::new(StoreErrorKind::Corrupt, DOING).because(other),
    }
}

/// Whether doing the same again may go better: another transaction was in the way.
pub(super) fn worth_another_try(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// By the [classes of Postgres](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn meaning(code: &str) -> StoreErrorKind {
    match (code, &code[..code.len().min(2)]) {
        ("42501" | "28000" | "28P01", _) => StoreErrorKind::NotAllowed,
        ("53100", _) => StoreErrorKind::Full,
        ("40001" | "40P01" | "55P03", _) => StoreErrorKind::TooBusy,
        (_, "22" | "23" | "54") => StoreErrorKind::Invalid,
        (_, "XX" | "42") | ("58P01", _) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    }
}

fn said(error: &PgDatabaseError) -> Said {
    let code = error.code();
    // Messages of these classes may quote a value.
    let quotes = code.starts_with("22") || code.starts_with("23") || code.starts_with("P0");
    let message = if quotes {
        "the database does not take the value".to_owned()
    } else {
        error.message().to_owned()
    };
    Said {
        code: code.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_becomes_one_of_the_kinds() {
        for (code, kind) in [
            ("42501", StoreErrorKind::NotAllowed),
            ("28P01", StoreErrorKind::NotAllowed),
            ("53100", StoreErrorKind::Full),
            ("53300", StoreErrorKind::Unavailable),
            ("40P01", StoreErrorKind::TooBusy),
            ("22021", StoreErrorKind::Invalid),
            ("23514", StoreErrorKind::Invalid),
            ("XX001", StoreErrorKind::Corrupt),
            ("42P01", StoreErrorKind::Corrupt),
            ("57014", StoreErrorKind::Unavailable),
            ("57P01", StoreErrorKind::Unavailable),
            ("", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(meaning(code), kind, "{code}");
        }
    }
}
