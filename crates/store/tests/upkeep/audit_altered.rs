//! Whatever somebody does to the rows of a trail who has no key, it is found out.

use std::sync::Arc;

use serde_json::{Value, json};
use stageflow_context::{SealKey, SealKeys, UserId};
use stageflow_store::{
    AuditAnchor, AuditDraft, AuditErrorKind as Kind, AuditTrail, Class, Row, Shelf, Store as _,
};

use crate::new_store;
use crate::support::{delete, keys, org, put, rows, scope, trail, user};

const CLASS: Class = Class::Audit;

fn told(what: &str, user: UserId) -> AuditDraft {
    AuditDraft::new(what)
        .about(user)
        .details(json!({ "n": what }))
}

/// A trail of six entries.
async fn six() -> (Arc<dyn Shelf>, AuditTrail) {
    let (shelf, trail) = trail().await;
    let drafts = (1..=6).map(|n| told(&format!("auth.n{n}"), user()));
    trail.append(drafts.collect()).await.unwrap();
    (shelf, trail)
}

fn key(number: u64) -> String {
    format!("e/{number:020}")
}

async fn body(shelf: &dyn Shelf, key: &str) -> String {
    shelf.get(CLASS, key).await.unwrap().unwrap().body
}

/// Writes over a row, with what an entry says of itself beside it.
async fn write(shelf: &dyn Shelf, key: &str, body: String) {
    let line: Value = serde_json::from_str(&body).unwrap_or_default();
    let at = line["entry"]["at"].as_u64().unwrap_or(1);
    let user = line["detail"]["user"].as_str();
    let user = user.and_then(|user| user.parse().ok());
    put(shelf, CLASS, Row::new(key, at, body).about(user)).await;
}

async fn wrong(trail: &AuditTrail) -> (Kind, u64) {
    let error = trail.verify().await.unwrap_err();
    assert_eq!(error.code(), "SF0730");
    (error.kind(), error.number())
}

/// Byte by byte, and another byte for each: no change of any row of the trail is left unseen, unless it is none in JSON.
#[tokio::test]
async fn every_byte_of_every_row_counts() {
    let (shelf, trail) = six().await;
    let head = trail.head().await.unwrap();
    for row in rows(&*shelf, CLASS).await {
        for at in 0..row.body.len() {
            let mut bytes = row.body.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let body = String::from_utf8(bytes).unwrap();
            write(&*shelf, &row.key, body.clone()).await;
            assert!(
                trail.verify_to(&head).await.is_err(),
                "{at} of {}: {body}",
                row.key
            );
        }
        write(&*shelf, &row.key, row.body).await;
        trail.verify_to(&head).await.unwrap();
    }
}

#[tokio::test]
async fn an_entry_that_is_gone_is_missed() {
    for gone in 1..=6 {
        let (shelf, trail) = six().await;
        delete(&*shelf, CLASS, &key(gone)).await;
        assert_eq!(wrong(&trail).await, (Kind::Missing, gone));
    }
}

#[tokio::test]
async fn entries_that_changed_places_are_found() {
    let (shelf, trail) = six().await;
    let (two, five) = (body(&*shelf, &key(2)).await, body(&*shelf, &key(5)).await);
    write(&*shelf, &key(2), five).await;
    write(&*shelf, &key(5), two).await;
    assert_eq!(wrong(&trail).await, (Kind::Reordered, 2));
}

#[tokio::test]
async fn a_shorter_trail_needs_an_older_head_and_an_anchor_shows_that() {
    let (shelf, trail) = six().await;
    let (old_head, old) = (body(&*shelf, "head").await, trail.head().await.unwrap());
    trail.append(vec![told("auth.n7", user())]).await.unwrap();
    let anchor = trail.head().await.unwrap();

    delete(&*shelf, CLASS, &key(7)).await;
    assert_eq!(
        wrong(&trail).await,
        (Kind::Missing, 7),
        "the head says that there were seven"
    );
    let made_up = body(&*shelf, "head").await.replace("\"n\":7", "\"n\":6");
    write(&*shelf, "head", made_up).await;
    assert_eq!(wrong(&trail).await.0, Kind::Head);

    // With the whole of an older state, only what was kept elsewhere helps.
    write(&*shelf, "head", old_head).await;
    trail.verify().await.unwrap();
    trail.verify_to(&old).await.unwrap();
    let error = trail.verify_to(&anchor).await.unwrap_err();
    assert_eq!((error.kind(), error.number()), (Kind::Shortened, 7));
    assert_eq!(error.good(), old);
}

#[tokio::test]
async fn a_trail_that_was_written_anew_is_another_one() {
    let (shelf, trail) = six().await;
    let anchor = trail.head().await.unwrap();
    for row in rows(&*shelf, CLASS).await {
        delete(&*shelf, CLASS, &row.key).await;
    }
    // By somebody who has the key even.
    let forger = AuditTrail::new(Arc::clone(&shelf), keys());
    let drafts = (1..=6).map(|n| told(&format!("auth.n{n}"), user()));
    forger.append(drafts.collect()).await.unwrap();
    forger.verify().await.unwrap();
    let error = forger.verify_to(&anchor).await.unwrap_err();
    assert_eq!((error.kind(), error.number()), (Kind::Forked, 6));
}

/// Somebody brings an older state back, lets the trail go on from there, and then puts an entry of the first way into the second.
#[tokio::test]
async fn entries_of_two_histories_do_not_fit() {
    let (shelf, trail) = six().await;
    let old_head = body(&*shelf, "head").await;
    let more = || vec![told("auth.n7", user()), told("auth.n8", user())];
    trail.append(more()).await.unwrap();
    let seven = body(&*shelf, &key(7)).await;
    for number in [7, 8] {
        delete(&*shelf, CLASS, &key(number)).await;
    }
    write(&*shelf, "head", old_head).await;
    let again = AuditTrail::new(Arc::clone(&shelf), keys());
    again.append(more()).await.unwrap();
    again.verify().await.unwrap();
    write(&*shelf, &key(7), seven).await;
    assert_eq!(wrong(&again).await, (Kind::Unlinked, 8));
}

#[tokio::test]
async fn without_the_key_nothing_can_be_put_in() {
    let (shelf, trail) = six().await;
    // Under the right number, with other bytes.
    let forger = AuditTrail::new(Arc::clone(&shelf), SealKeys::new(SealKey::new(7, [1; 32])));
    assert_eq!(
        forger
            .append(vec![told("auth.n7", user())])
            .await
            .unwrap_err()
            .kind(),
        Kind::Head
    );

    let shelf_of_forger = new_store().open(&scope(shelf.org())).await.unwrap();
    let forger = AuditTrail::new(
        Arc::clone(&shelf_of_forger),
        SealKeys::new(SealKey::new(7, [1; 32])),
    );
    let drafts = (1..=6).map(|n| told(&format!("auth.n{n}"), user()));
    forger.append(drafts.collect()).await.unwrap();
    write(&*shelf, &key(3), body(&*shelf_of_forger, &key(3)).await).await;
    assert_eq!(wrong(&trail).await, (Kind::Altered, 3));
}

/// The entries of another tenant, written under the same key.
#[tokio::test]
async fn another_tenants_entry_is_no_entry() {
    let (shelf, trail) = six().await;
    let (other, _) = six().await;
    write(&*shelf, &key(3), body(&*other, &key(3)).await).await;
    assert_eq!(wrong(&trail).await, (Kind::Altered, 3));
    let head = body(&*other, "head").await;
    write(&*shelf, "head", head).await;
    assert_eq!(wrong(&trail).await.0, Kind::Head);
    assert_ne!(other.org(), org());
}

#[tokio::test]
async fn details_can_neither_be_changed_nor_taken_away() {
    let without = |body: &str| {
        let mut line: Value = serde_json::from_str(body).unwrap();
        line.as_object_mut().unwrap().remove("detail");
        line
    };
    let (shelf, trail) = six().await;
    let whole = body(&*shelf, &key(4)).await;
    write(&*shelf, &key(4), whole.replace("auth.n4\"}", "auth.n5\"}")).await;
    assert_eq!(wrong(&trail).await, (Kind::Detail, 4));

    // Key order matters to hashes, so the text is cut and not written anew.
    let at = whole.find(",\"detail\":{").unwrap();
    let bare = format!("{}}}", &whole[..at]);
    assert_eq!(
        serde_json::from_str::<Value>(&bare).unwrap(),
        without(&whole)
    );
    write(&*shelf, &key(4), bare).await;
    assert_eq!(wrong(&trail).await, (Kind::NoDetail, 4));

    // Nor with a mark that belongs to something else.
    let link = &whole[whole.find("\"link\":\"").unwrap() + 8..at - 1];
    let marked = format!("{},\"erased\":\"{link}\"}}", &whole[..at]);
    write(&*shelf, &key(4), marked).await;
    assert_eq!(wrong(&trail).await, (Kind::Detail, 4));
}

#[tokio::test]
async fn a_head_that_is_gone_does_not_begin_the_trail_anew() {
    let (shelf, trail) = six().await;
    delete(&*shelf, CLASS, "head").await;
    let fresh = AuditTrail::new(Arc::clone(&shelf), keys());
    assert_eq!(
        fresh
            .append(vec![told("auth.n7", user())])
            .await
            .unwrap_err()
            .kind(),
        Kind::Head
    );
    assert!(trail.verify_to(&AuditAnchor::NONE).await.is_err());
}

#[tokio::test]
async fn the_message_says_which_entry_and_what_holds() {
    let (shelf, trail) = six().await;
    delete(&*shelf, CLASS, &key(3)).await;
    assert_eq!(
        trail.verify().await.unwrap_err().to_string(),
        "SF0730: audit trail, entry 3 is missing: another one has its place; those up to 2 are as they were written; take what follows from a copy, and \
         find out who can write there"
    );
}
