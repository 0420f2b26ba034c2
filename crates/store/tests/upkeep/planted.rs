//! Rows that somebody plants, or changes beside their text, suppress nothing, hide nothing and vouch for nothing.

use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use stageflow_context::UserId;
use stageflow_store::{
    AuditDraft, AuditErrorKind as Kind, AuditKeep, AuditTrail, Class, Erasure, ErasureErrorKind,
    ReceiptErrorKind, Retention, Row, Shelf, Store as _, verify_jsonl,
};

use crate::support::{AnyStore, delete, keys, org, put, rows, scope, trail, user};

const CLASS: Class = Class::Audit;
/// Far behind everything that is kept.
const NOW: Duration = Duration::from_hours(24 * 366 * 100);

fn told(user: UserId) -> AuditDraft {
    let draft = AuditDraft::new("auth.login").about(user);
    draft.details(json!({ "said": "canary" }))
}

fn key(number: u64) -> String {
    format!("e/{number:020}")
}

async fn entry(shelf: &dyn Shelf, number: u64) -> Row {
    shelf.get(CLASS, &key(number)).await.unwrap().unwrap()
}

/// The same row with another text.
fn saying(body: String, row: &Row) -> Row {
    let mut row = row.clone();
    row.body = body;
    row
}

/// The same row, made at another time.
fn at(at: u64, row: &Row) -> Row {
    let mut row = row.clone();
    row.at = at;
    row
}

async fn verified(trail: &AuditTrail) -> (Kind, u64) {
    let error = trail.verify().await.unwrap_err();
    assert_eq!(error.code(), "SF0730");
    (error.kind(), error.number())
}

/// A trail of one's own, that has seen nothing.
fn fresh(shelf: &Arc<dyn Shelf>) -> AuditTrail {
    AuditTrail::new(Arc::clone(shelf), keys())
}

#[tokio::test]
async fn a_planted_source_suppresses_nothing() {
    let (shelf, trail) = trail().await;
    let all = (0..3).map(|n| told(user()).once(format!("r.{n}")));
    trail.append(all.collect()).await.unwrap();
    // To an entry that is not there, to that of another source, and to no number.
    for says in ["999", "2", "0", "+1", "x"] {
        put(&*shelf, CLASS, Row::new("s/r.7", 1, says)).await;
        let next = vec![told(user()).once("r.7")];
        let error = fresh(&shelf).append(next).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Source, "{says}");
        assert_eq!(verified(&trail).await.0, Kind::Source, "{says}");
    }
    delete(&*shelf, CLASS, "s/r.7").await;
    trail.verify().await.unwrap();
    // One that is gone would let an entry in twice.
    let there = shelf.get(CLASS, "s/r.1").await.unwrap().unwrap();
    delete(&*shelf, CLASS, "s/r.1").await;
    assert_eq!(verified(&trail).await, (Kind::Source, 2));
    put(&*shelf, CLASS, there.clone()).await;
    trail.verify().await.unwrap();
    // One that is somebody's is found when they are erased, and is no entry.
    put(&*shelf, CLASS, there.about(user())).await;
    assert_eq!(verified(&trail).await.0, Kind::Source);
}

#[tokio::test]
async fn sources_that_changed_places_are_found() {
    let (shelf, trail) = trail().await;
    let all = (0..3).map(|n| told(user()).once(format!("r.{n}")));
    trail.append(all.collect()).await.unwrap();
    for (key, says) in [("s/r.0", "2"), ("s/r.1", "1")] {
        put(&*shelf, CLASS, Row::new(key, 1, says)).await;
    }
    assert_eq!(verified(&trail).await.0, Kind::Source);
}

#[tokio::test]
async fn rows_behind_the_end_are_found() {
    let (shelf, trail) = trail().await;
    trail.append(vec![told(user())]).await.unwrap();
    for junk in [key(2), key(9), "e/~".to_owned()] {
        put(&*shelf, CLASS, Row::new(&*junk, 1, "{}")).await;
        assert_eq!(verified(&trail).await, (Kind::Behind, 2), "{junk}");
        delete(&*shelf, CLASS, &junk).await;
        trail.verify().await.unwrap();
    }
    put(&*shelf, CLASS, Row::new(key(2), 1, "{}")).await;
    let error = fresh(&shelf).append(vec![told(user())]).await.unwrap_err();
    assert_eq!((error.kind(), error.number()), (Kind::Behind, 2));
    assert_eq!(
        error.to_string(),
        "SF0730: audit trail, entry 2 stands behind the last one: somebody has put a row there; those up to 1 are as they were \
         written; take the rows behind the last entry away, and find out who can write there"
    );
}

async fn sweep(store: &AnyStore, shelf: &dyn Shelf, now: Duration) -> Result<u64, Kind> {
    let retention = Retention::new().audit(AuditKeep::years(NonZeroU8::MIN));
    let most = NonZeroU32::new(1_000).unwrap();
    let scope = scope(shelf.org());
    let swept = retention.sweep(store, keys(), &scope, now, most).await;
    swept
        .map(|swept| swept.rows(CLASS))
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn retention_vouches_for_nothing_that_was_changed() {
    let store = crate::new_store();
    let shelf = store.open(&scope(org())).await.unwrap();
    let trail = fresh(&shelf);
    trail
        .append(vec![told(user()), told(user()), told(user())])
        .await
        .unwrap();
    let whole = rows(&*shelf, CLASS).await;
    let restore = async || {
        for row in &whole {
            put(&*shelf, CLASS, row.clone()).await;
        }
        trail.verify().await.unwrap();
    };
    let first = entry(&*shelf, 1).await;
    let (now, year) = (
        Duration::from_millis(first.at),
        Duration::from_hours(24 * 366),
    );
    let early = async || sweep(&store, &*shelf, now + year / 2).await;
    let late = async || sweep(&store, &*shelf, NOW).await;
    // Said to be old.
    put(&*shelf, CLASS, at(1, &first)).await;
    assert_eq!(early().await, Err(Kind::Column));
    assert_eq!(verified(&trail).await, (Kind::Column, 1));
    restore().await;
    // Altered, gone, or another one, and old.
    let body = first.body.replace("auth.login", "auth.logon");
    put(&*shelf, CLASS, saying(body, &first)).await;
    assert_eq!(late().await, Err(Kind::Altered));
    restore().await;
    delete(&*shelf, CLASS, &key(1)).await;
    assert_eq!(late().await, Err(Kind::Missing));
    restore().await;
    let second = entry(&*shelf, 2).await;
    put(&*shelf, CLASS, saying(second.body, &first)).await;
    assert_eq!(late().await, Err(Kind::Reordered));
    restore().await;
    assert_eq!(early().await, Ok(0));
    assert_eq!(late().await, Ok(3));
    trail.verify().await.unwrap();
}

/// The trail says whose an entry is, and the row only where to look.
#[tokio::test]
async fn nobody_is_erased_in_the_place_of_another() {
    let store = crate::new_store();
    let shelf = store.open(&scope(org())).await.unwrap();
    let [ada, bob] = [user(), user()];
    let trail = fresh(&shelf);
    trail.append(vec![told(ada), told(bob)]).await.unwrap();
    let (of_ada, of_bob) = (entry(&*shelf, 1).await, entry(&*shelf, 2).await);

    put(&*shelf, CLASS, of_bob.clone().about(ada)).await;
    assert_eq!(verified(&trail).await, (Kind::Column, 2));
    let erasure = Erasure::new(store.clone(), keys());
    let scope = scope(shelf.org());
    let error = erasure.erase(&scope, ada).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErasureErrorKind::Audit, "SF0730")
    );
    assert!(
        entry(&*shelf, 2).await.body.contains("canary"),
        "it is whole"
    );

    // Hidden from the erasure: it is not shown to be done.
    put(&*shelf, CLASS, of_bob).await;
    put(&*shelf, CLASS, of_ada.clone().about(None)).await;
    assert_eq!(verified(&trail).await, (Kind::Column, 1));
    let receipt = erasure.erase(&scope, ada).await.unwrap();
    let error = erasure.verify(&scope, ada, &receipt).await.unwrap_err();
    assert_eq!(error.kind(), ReceiptErrorKind::Trail);
    put(&*shelf, CLASS, of_ada).await;
    let receipt = erasure.erase(&scope, ada).await.unwrap();
    erasure.verify(&scope, ada, &receipt).await.unwrap();
    assert!(!entry(&*shelf, 1).await.body.contains("canary"));
    // What was erased is nobody's.
    let erased = entry(&*shelf, 1).await;
    put(&*shelf, CLASS, erased.clone().about(bob)).await;
    assert_eq!(verified(&trail).await, (Kind::Column, 1));
    put(&*shelf, CLASS, erased.until(u64::from(u32::MAX) * 2_000)).await;
    assert_eq!(verified(&trail).await, (Kind::Column, 1));
}

/// What an export ends with is good for nothing else, and no row does for it.
#[tokio::test]
async fn the_end_of_an_export_is_no_end_of_a_trail() {
    let (shelf, trail) = trail().await;
    trail.append(vec![told(user())]).await.unwrap();
    let old = shelf.get(CLASS, "head").await.unwrap().unwrap();
    trail.append(vec![told(user())]).await.unwrap();
    let lines: Vec<String> = trail.export().try_collect().await.unwrap();
    let verify = |lines: &[String]| verify_jsonl(lines, shelf.org(), &keys(), None);
    verify(&lines).unwrap();

    let end: Value = serde_json::from_str(&lines[3]).unwrap();
    let mut head: Value = serde_json::from_str(&old.body).unwrap();
    // The row of then ends the lines of then.
    let anchor = format!("{}.{}", head["n"], head["link"].as_str().unwrap());
    let forged = json!({ "end": { "head": anchor, "seal": head["seal"] } }).to_string();
    let error = verify(&[lines[0].clone(), lines[1].clone(), forged]).unwrap_err();
    assert_eq!(error.kind(), Kind::Head);
    // The end of these lines ends the trail.
    head["seal"] = end["end"]["seal"].clone();
    assert!(head["seal"].is_string());
    put(&*shelf, CLASS, saying(head.to_string(), &old)).await;
    assert_eq!(verified(&trail).await.0, Kind::Head);
}
