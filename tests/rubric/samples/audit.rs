//! What audit trails, erasures and receipts say.

use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stageflow::context::{
    ContextSnapshot, OrgId, RunId, RunIdentity, SealKey, SealKeys, SystemIds, UserId,
};
use stageflow::events::{Journal, JournalOptions, RunHeader};
use stageflow::tenancy::TenantScope;
use stageflow_store::{
    AuditAnchor, AuditDraft, AuditError, AuditKeep, AuditTrail, Class, Erasure, ErasureError,
    ErasureErrorKind, ErasureReceipt, MemoryStore, ReceiptError, Retention, Row, Shelf, Store,
    StoreError, StoreErrorKind, Write, verify_jsonl,
};

use super::{CANARY, Sample, kind_name};
use crate::block_on;

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = block_on(trails());
    samples.extend(block_on(receipts()));
    samples.extend(block_on(erasures()));
    let error = CANARY.parse::<AuditAnchor>().unwrap_err();
    let anchor = Sample::of("AnchorError", "AnchorError", error.code(), &error);
    samples.push(
        anchor
            .names(["anchor of an audit trail"])
            .facts(["a number, a dot and a tag"])
            .beside_a_secret(),
    );
    samples
}

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [17; 32]))
}

fn scope(org: OrgId) -> TenantScope {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new())).with_org_id(org);
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::by_hand(context, "answer".into(), [].into(), SystemTime::UNIX_EPOCH);
    TenantScope::of_header(&header).unwrap()
}

pub(super) fn drafts(count: u64) -> Vec<AuditDraft> {
    (0..count)
        .map(|n| AuditDraft::new("auth.login").details(json!({ "n": n, "key": CANARY })))
        .collect()
}

pub(super) async fn three() -> (Arc<dyn Shelf>, AuditTrail) {
    let org = OrgId::generate(&SystemIds::new());
    let shelf = MemoryStore::new().open(&scope(org)).await.unwrap();
    let trail = AuditTrail::new(Arc::clone(&shelf), keys());
    trail.append(drafts(3)).await.unwrap();
    (shelf, trail)
}

pub(super) fn key(number: u64) -> String {
    format!("e/{number:020}")
}

async fn body(shelf: &Arc<dyn Shelf>, key: &str) -> String {
    shelf.get(Class::Audit, key).await.unwrap().unwrap().body
}

/// Writes over a row, with what an entry says of itself beside it.
async fn put(shelf: &Arc<dyn Shelf>, key: &str, body: String) {
    let line: Value = serde_json::from_str(&body).unwrap_or_default();
    let at = line["entry"]["at"].as_u64().unwrap_or(1);
    let (class, row) = (Class::Audit, Row::new(key, at, body));
    assert!(shelf.commit(vec![Write::Put { class, row }]).await.unwrap());
}

async fn delete(shelf: &Arc<dyn Shelf>, key: String) {
    let class = Class::Audit;
    assert!(
        shelf
            .commit(vec![Write::Delete { class, key }])
            .await
            .unwrap()
    );
}

pub(super) fn audit(error: &AuditError, facts: &'static str) -> Sample {
    let kind = kind_name("AuditErrorKind", &error.kind());
    let sample = Sample::of("AuditError", &kind, error.code(), error);
    sample
        .names(["audit trail"])
        .facts([facts])
        .beside_a_secret()
}

async fn trails() -> Vec<Sample> {
    let mut samples = Vec::new();
    let (shelf, trail) = three().await;
    let anchor = trail.head().await.unwrap();
    let (two, head) = (body(&shelf, &key(2)).await, body(&shelf, "head").await);
    let changes = [
        (two.replace("auth.login", "auth.logon"), "entry 2"),
        (two.replace("\"n\":1", "\"n\":9"), "entry 2"),
        (
            format!("{}}}", &two[..two.find(",\"detail\":{").unwrap()]),
            "entry 2",
        ),
        (body(&shelf, &key(3)).await, "entry 2"),
    ];
    for (changed, facts) in changes {
        put(&shelf, &key(2), changed).await;
        samples.push(audit(&trail.verify().await.unwrap_err(), facts));
    }
    delete(&shelf, key(2)).await;
    samples.push(audit(&trail.verify().await.unwrap_err(), "entry 2"));
    put(&shelf, &key(2), two).await;
    put(&shelf, "head", head.replace("\"n\":3", "\"n\":2")).await;
    samples.push(audit(&trail.verify().await.unwrap_err(), "starts and ends"));
    put(&shelf, "head", head).await;
    let other = AuditTrail::new(Arc::clone(&shelf), keys());
    other.append(drafts(1)).await.unwrap();
    let later = other.head().await.unwrap();
    delete(&shelf, key(4)).await;
    let (_, fresh) = three().await;
    samples.push(audit(
        &fresh.verify_to(&anchor).await.unwrap_err(),
        "entry 3",
    ));
    samples.push(audit(
        &fresh.verify_to(&later).await.unwrap_err(),
        "entry 4",
    ));
    let unreadable = verify_jsonl(["{}"], fresh.org(), &keys(), None).unwrap_err();
    samples.push(audit(&unreadable, "no whole export"));
    samples.extend(cut().await);
    samples.extend(keys_and_histories().await);
    let busy = StoreError::new(StoreErrorKind::TooBusy, "appending to the audit trail");
    samples.push(audit(&busy.into(), "faster"));
    samples
}

/// An entry whose key is gone, and one of another history.
async fn keys_and_histories() -> [Sample; 2] {
    let (shelf, trail) = three().await;
    let old_head = body(&shelf, "head").await;
    trail.append(drafts(2)).await.unwrap();
    let four = body(&shelf, &key(4)).await;
    delete(&shelf, key(4)).await;
    delete(&shelf, key(5)).await;
    put(&shelf, "head", old_head).await;
    let again = AuditTrail::new(Arc::clone(&shelf), keys());
    again.append(drafts(2)).await.unwrap();
    put(&shelf, &key(4), four).await;
    let unlinked = audit(&again.verify().await.unwrap_err(), "entry 5");

    let (shelf, _) = three().await;
    let new = || SealKeys::new(SealKey::new(8, [1; 32]));
    let rotated = new().opening(SealKey::new(7, [17; 32]));
    AuditTrail::new(Arc::clone(&shelf), rotated)
        .append(drafts(1))
        .await
        .unwrap();
    let unknown = AuditTrail::new(shelf, new()).verify().await.unwrap_err();
    [unlinked, audit(&unknown, "entry 1")]
}

async fn erasures() -> Vec<Sample> {
    let sample = |error: &ErasureError, name: &'static str, facts: &'static str| {
        let kind = kind_name("ErasureErrorKind", &error.kind());
        let sample = Sample::of("ErasureError", &kind, error.code(), error);
        sample.names([name]).facts([facts]).beside_a_secret()
    };
    let (shelf, trail) = three().await;
    delete(&shelf, key(2)).await;
    let altered = trail.verify().await.unwrap_err();
    let busy = StoreError::new(StoreErrorKind::TooBusy, "erasing a user");

    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("audit");
    let open = Journal::create(JournalOptions::new(&folder)).unwrap();
    let erasure = Erasure::new(MemoryStore::new(), keys()).journal(&folder);
    let user = UserId::generate(&SystemIds::new());
    let in_use = erasure.erase(&scope(shelf.org()), user).await.unwrap_err();
    drop(open);
    let mut in_use = sample(&in_use, "audit", "another");
    let place = root.path().to_string_lossy().into_owned();
    in_use.text = in_use.text.replace(&*place, "/srv");
    in_use.debug = in_use.debug.replace(&*place, "/srv");
    for cause in &mut in_use.chain {
        *cause = cause.replace(&*place, "/srv");
    }
    vec![
        sample(
            &ErasureErrorKind::StillWritten.into(),
            "user",
            "again and again",
        ),
        sample(
            &ErasureErrorKind::UnderWay.into(),
            "user",
            "idempotency key",
        ),
        sample(&altered.into(), "audit trail", "entry 2"),
        sample(&busy.into(), "erasing a user", "faster"),
        in_use,
    ]
}

async fn cut() -> Option<Sample> {
    let org = OrgId::generate(&SystemIds::new());
    let store = MemoryStore::new();
    let trail = AuditTrail::new(store.open(&scope(org)).await.unwrap(), keys());
    trail.append(drafts(1)).await.unwrap();
    let early = trail.head().await.unwrap();
    trail.append(drafts(1)).await.unwrap();
    let far = Duration::from_hours(24 * 366 * 400);
    let retention = Retention::new().audit(AuditKeep::years(NonZeroU8::MIN));
    let swept = retention
        .sweep(&store, keys(), &scope(org), far, NonZeroU32::MAX)
        .await;
    swept.unwrap();
    let error = trail.verify_to(&early).await.err()?;
    Some(audit(&error, "retention"))
}

async fn receipts() -> Vec<Sample> {
    let sample = |error: &ReceiptError, facts: &'static str| {
        let kind = kind_name("ReceiptErrorKind", &error.kind());
        let sample = Sample::of("ReceiptError", &kind, error.code(), error);
        sample
            .names(["receipt of an erasure"])
            .facts([facts])
            .beside_a_secret()
    };
    let ids = SystemIds::new();
    let (org, user, other) = (
        OrgId::generate(&ids),
        UserId::generate(&ids),
        UserId::generate(&ids),
    );
    let store = MemoryStore::new();
    let erasure = Erasure::new(store.clone(), keys());
    let receipt = erasure.erase(&scope(org), user).await.unwrap();
    let text = receipt.to_json();
    let altered: ErasureReceipt = text
        .replace("journal_records\\\":0", "journal_records\\\":1")
        .parse()
        .unwrap();
    let altered = erasure
        .verify(&scope(org), user, &altered)
        .await
        .unwrap_err();
    let of_other = erasure
        .verify(&scope(org), other, &receipt)
        .await
        .unwrap_err();
    let elsewhere = erasure
        .verify(&scope(OrgId::generate(&ids)), user, &receipt)
        .await
        .unwrap_err();
    let never = Erasure::new(MemoryStore::new(), keys());
    let never = never.verify(&scope(org), user, &receipt).await.unwrap_err();
    let unreadable = CANARY.parse::<ErasureReceipt>().unwrap_err();
    let (class, row) = (Class::Documents, Row::new("back", 1, CANARY).about(user));
    let shelf = store.open(&scope(org)).await.unwrap();
    shelf
        .commit(vec![Write::Insert { class, row }])
        .await
        .unwrap();
    let left = erasure
        .verify(&scope(org), user, &receipt)
        .await
        .unwrap_err();
    let busy = StoreError::new(StoreErrorKind::TooBusy, "reading the audit trail");
    let busy = ReceiptError::from(busy);
    let kind = kind_name("ReceiptErrorKind", &busy.kind());
    let trail = Sample::of("ReceiptError", &kind, busy.code(), &busy);
    vec![
        trail
            .names(["audit trail"])
            .facts(["faster"])
            .beside_a_secret(),
        sample(&left, "`documents`"),
        sample(&altered, "not as it was signed"),
        sample(&of_other, "another user's"),
        sample(&elsewhere, "another tenant's"),
        sample(&never, "does not have it"),
        sample(&unreadable, "is no receipt"),
    ]
}
