//! How requests are kept: those that are open in the order in which they were asked, the others the newest first.

use std::time::SystemTime;

use serde::Serialize;
use stageflow_context::ApprovalId;
use stageflow_executor::{ApprovalRecord, ApprovalRequest, ApprovalStatus};

use crate::time::millis_of;
use crate::{Class, Row, Scan, Shelf, StoreError, Write, body};

/// An [`ApprovalRecord`], as it is written.
#[derive(Serialize)]
struct Record<'a> {
    request: &'a ApprovalRequest,
    status: &'a ApprovalStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<SystemTime>,
}

const OPEN: &str = "open/";
const OVER: &str = "over/";

fn open(id: ApprovalId) -> String {
    format!("{OPEN}{}", id.as_uuid().simple())
}

fn over(id: ApprovalId) -> String {
    format!("{OVER}{:032x}", !id.as_uuid().as_u128())
}

fn row(
    key: String,
    request: &ApprovalRequest,
    status: &ApprovalStatus,
    closed_at: Option<SystemTime>,
) -> Result<Row, StoreError> {
    let record = Record {
        request,
        status,
        closed_at,
    };
    let row = Row::new(key, millis_of(request.asked_at), body::written(&record)?);
    Ok(row.about(request.user))
}

/// A request that was not there before.
pub(super) fn asked(request: &ApprovalRequest) -> Result<Vec<Write>, StoreError> {
    let row = row(open(request.id), request, &ApprovalStatus::Pending, None)?;
    let class = Class::Approvals;
    Ok(vec![Write::Insert { class, row }])
}

/// One that was not asked after all.
pub(super) fn forgotten(id: ApprovalId) -> Vec<Write> {
    let (class, key) = (Class::Approvals, open(id));
    vec![Write::Delete { class, key }]
}

/// One that is over.
fn closed(
    request: &ApprovalRequest,
    status: &ApprovalStatus,
    now: SystemTime,
) -> Result<Vec<Write>, StoreError> {
    let class = Class::Approvals;
    let row = row(over(request.id), request, status, Some(now))?;
    let mut writes = forgotten(request.id);
    writes.push(Write::Put { class, row });
    Ok(writes)
}

/// One that is over, if the row that was read is as it was.
pub(super) fn decided(
    read: Row,
    request: &ApprovalRequest,
    status: &ApprovalStatus,
    now: SystemTime,
) -> Result<Vec<Write>, StoreError> {
    let (class, seen) = (Class::Approvals, read.version);
    let condition = Write::Swap {
        class,
        row: read,
        seen,
    };
    let mut writes = vec![condition];
    writes.extend(closed(request, status, now)?);
    Ok(writes)
}

/// The row of a request that is open.
pub(super) async fn pending(
    shelf: &dyn Shelf,
    id: ApprovalId,
) -> Result<Option<(Row, ApprovalRecord)>, StoreError> {
    let row = shelf.get(Class::Approvals, &open(id)).await?;
    row.map(|row| body::read(&row).map(|record| (row, record)))
        .transpose()
}

/// The row of a request, whether it is open or over.
pub(super) async fn either(shelf: &dyn Shelf, id: ApprovalId) -> Result<Option<Row>, StoreError> {
    match shelf.get(Class::Approvals, &open(id)).await? {
        None => shelf.get(Class::Approvals, &over(id)).await,
        open => Ok(open),
    }
}

/// What is known of a request.
pub(super) async fn record(
    shelf: &dyn Shelf,
    id: ApprovalId,
) -> Result<Option<ApprovalRecord>, StoreError> {
    if let Some((_, record)) = pending(shelf, id).await? {
        return Ok(Some(record));
    }
    let row = shelf.get(Class::Approvals, &over(id)).await?;
    row.as_ref().map(body::read).transpose()
}

/// Those that are open, from the one that was asked first.
pub(super) async fn all_pending(
    shelf: &dyn Shelf,
    after: Option<ApprovalId>,
    most: u32,
) -> Result<Vec<ApprovalRecord>, StoreError> {
    page(shelf, OPEN, after.map(open), most).await
}

/// Those that are over, from the one that was asked last.
pub(super) async fn history(
    shelf: &dyn Shelf,
    after: Option<ApprovalId>,
    most: u32,
) -> Result<Vec<ApprovalRecord>, StoreError> {
    page(shelf, OVER, after.map(over), most).await
}

async fn page(
    shelf: &dyn Shelf,
    prefix: &str,
    after: Option<String>,
    most: u32,
) -> Result<Vec<ApprovalRecord>, StoreError> {
    let scan = Scan::of(Class::Approvals)
        .starting_with(prefix)
        .after(after)
        .most(most.min(Scan::MOST));
    let rows = shelf.scan(scan).await?;
    rows.iter().map(body::read).collect()
}
