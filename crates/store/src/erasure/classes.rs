//! What becomes of a row when the user it is about is erased.

use stageflow_context::{OrgId, SealKeys, UserId};

use super::ErasureError;
use crate::audit::Line;
use crate::{AuditAnchor, AuditError, AuditErrorKind, Class, Row, Write};

/// What stands in the place of a run or an event.
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
    let names_user = row.key.contains(&user.to_string());
    let stays = match class {
        Class::Audit => Some(without_detail(&row, org, keys)?),
        Class::Events | Class::Runs if !names_user => Some(TOMBSTONE.to_owned()),
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

fn without_detail(row: &Row, org: OrgId, keys: &SealKeys) -> Result<String, ErasureError> {
    let altered = || AuditError::new(AuditErrorKind::Altered, 0, AuditAnchor::NONE);
    let line = Line::parse(&row.body).and_then(|line| line.without_detail(org, keys));
    Ok(line.ok_or_else(altered)?.text()?)
}
