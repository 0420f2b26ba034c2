//! What becomes of a row when the user it is about is erased.

use serde::Deserialize;
use serde_json::json;
use stageflow_context::{CorrelationId, OrgId, RunId, SealKeys, UserId};
use stageflow_events::EventRecord;

use super::ErasureError;
use crate::audit::{Line, entry_key, kind_of};
use crate::{AuditAnchor, AuditError, AuditErrorKind, Class, Row, RunRecord, Write};

/// What stands in the place of what has no form of its own.
const TOMBSTONE: &str = r#"{"erased":true}"#;

/// The changes that erase a row, if it is still as it was read.
pub(super) fn erased(
    class: Class,
    row: Row,
    (org, user): (OrgId, UserId),
    keys: &SealKeys,
    writes: &mut Vec<Write>,
) -> Result<(), ErasureError> {
    let seen = row.version;
    let id = user.as_uuid();
    let spelled = [id.simple().to_string(), id.hyphenated().to_string()];
    let names_user = spelled.iter().any(|id| row.key.contains(id));
    let stays = match class {
        Class::Audit => Some(without_detail(&row, org, keys)?),
        Class::Events if !names_user => Some(event(&row)),
        Class::Runs if !names_user => Some(run(&row)),
        _ => None,
    };
    let goes = stays.is_none();
    let key = row.key.clone();
    // Also where the row goes: a row that somebody wrote to meanwhile may be about somebody else by now.
    let body = stays.unwrap_or_else(|| TOMBSTONE.to_owned());
    let row = Row {
        body,
        user: None,
        ..row
    };
    writes.push(Write::Swap { class, row, seen });
    if goes {
        writes.push(Write::Delete { class, key });
    }
    Ok(())
}

/// A record still, for those who read them.
fn event(row: &Row) -> String {
    let record = serde_json::from_str::<EventRecord>(&row.body).ok();
    let erased = record.and_then(|record| serde_json::to_string(&record.erased()).ok());
    erased.unwrap_or_else(|| TOMBSTONE.to_owned())
}

/// A record still: that there was a run, when it started, and that nothing else is known.
fn run(row: &Row) -> String {
    #[derive(Deserialize)]
    struct Run {
        run: RunId,
    }

    let run = serde_json::from_str::<Run>(&row.body).ok();
    let erased = run.map(|Run { run }| {
        json!({
            "run": run, "pipeline": "", "outcome": RunRecord::ERASED, "started_at": row.at, "took_us": 0,
            "correlation": CorrelationId::from(run),
        })
    });
    erased.map_or_else(|| TOMBSTONE.to_owned(), |erased| erased.to_string())
}

fn without_detail(row: &Row, org: OrgId, keys: &SealKeys) -> Result<String, ErasureError> {
    let wrong = |kind, number| AuditError::new(kind, number, AuditAnchor::NONE);
    let altered = || wrong(AuditErrorKind::Altered, 0);
    let line = Line::parse(&row.body).ok_or_else(altered)?;
    let (linked, _) = line
        .check(org, keys)
        .map_err(|why| wrong(kind_of(why), 0))?;
    // The row was found by what it says of whom it is about; the entry has to say so itself.
    if row.key != entry_key(linked.n) || !line.fits(&linked, row) {
        return Err(wrong(AuditErrorKind::Column, linked.n).into());
    }
    let line = line.without_detail(org, keys).ok_or_else(altered)?;
    Ok(line.text()?)
}
