//! Records of a user in journals.

use std::path::PathBuf;

use stageflow_context::{OrgId, UserId};
use stageflow_events::{EventRecord, journal};
use tokio::runtime::Handle;

use super::ErasureError;
use crate::{StoreError, StoreErrorKind};

/// Whose records.
type Whose = (OrgId, UserId);

/// How many records of the user are in these journals, if a time is said only those from before it, in milliseconds since
/// 1970. A journal that is not there has none.
pub(super) async fn count(
    journals: Vec<PathBuf>,
    whose: Whose,
    before: Option<u64>,
) -> Result<u64, StoreError> {
    if journals.is_empty() {
        return Ok(0);
    }
    let is_theirs = of(whose);
    let is_old =
        move |record: &EventRecord| before.is_none_or(|before| record.time_us / 1_000 <= before);
    let counted = Handle::current().spawn_blocking(move || {
        let mut count = 0;
        for folder in journals.iter().filter(|folder| folder.exists()) {
            for record in journal::read(folder) {
                match record {
                    Ok(record) if is_theirs(&record) && is_old(&record) => count += 1,
                    Ok(_) => {}
                    Err(error) if error.kind() == journal::ReadErrorKind::Io => return Err(error),
                    // What is no record has no user.
                    Err(_) => {}
                }
            }
        }
        Ok(count)
    });
    let failed = || StoreError::new(StoreErrorKind::Unavailable, "reading a journal");
    match counted.await {
        Ok(counted) => counted.map_err(|error| failed().because(error)),
        Err(error) => Err(failed().because(error)),
    }
}

/// Puts tombstones in their places.
pub(super) async fn erase(journals: Vec<PathBuf>, whose: Whose) -> Result<(), ErasureError> {
    let is_theirs = of(whose);
    let erased = Handle::current().spawn_blocking(move || {
        for folder in journals.iter().filter(|folder| folder.exists()) {
            journal::erase(folder, &is_theirs)?;
        }
        Ok(())
    });
    match erased.await {
        Ok(erased) => erased.map_err(ErasureError::journal),
        Err(error) => {
            let failed = StoreError::new(StoreErrorKind::Unavailable, "erasing from a journal");
            Err(failed.because(error).into())
        }
    }
}

fn of((org, user): Whose) -> impl Fn(&EventRecord) -> bool + Send + 'static {
    let (org, user) = (org.to_string(), user.to_string());
    move |record| record.org_id.as_ref() == Some(&org) && record.user_id.as_ref() == Some(&user)
}
