//! A trail grows, never forks, and says the same here and elsewhere.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde_json::json;
use stageflow_context::{SealKey, SealKeys};
use stageflow_store::{
    AuditAnchor, AuditDraft, AuditErrorKind, AuditTrail, Class, Decision, Store as _, verify_jsonl,
};
use tokio::runtime::Handle;

use crate::new_store;
use crate::support::{keys, org, rows, scope, trail, user};

fn told(what: &str) -> AuditDraft {
    AuditDraft::new(what)
        .decided(Decision::Denied)
        .code("SF0602")
        .by("ada")
        .because("the token has expired")
        .details(json!({ "path": "/kb" }))
}

#[tokio::test]
async fn what_was_appended_is_read_again() {
    let (_, trail) = trail().await;
    let user = user();
    let draft = told("auth.failure").about(user).changed(None, Some(b"new"));
    assert_eq!(
        trail.append(vec![told("auth.login"), draft]).await.unwrap(),
        2
    );

    let entry = trail.entry(2).await.unwrap().unwrap();
    assert_eq!((entry.number, &*entry.what), (2, "auth.failure"));
    assert_eq!(entry.decision, Some(Decision::Denied));
    assert_eq!(entry.code.as_deref(), Some("SF0602"));
    assert_eq!(entry.before, None);
    assert_eq!(
        entry.after.as_deref(),
        Some("sha256:11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437")
    );
    let detail = entry.detail.unwrap();
    assert_eq!(
        (detail.user, detail.who.as_deref()),
        (Some(user), Some("ada"))
    );
    assert_eq!(detail.details, json!({ "path": "/kb" }));
    let first = trail.entry(1).await.unwrap().unwrap();
    assert_eq!(entry.previous, Some(first.link));
    assert_eq!(first.previous, None);
    assert_eq!(trail.entry(3).await.unwrap(), None);
}

#[tokio::test]
async fn a_trail_verifies_from_its_first_entry_to_its_head() {
    let (_, trail) = trail().await;
    assert_eq!(trail.verify().await.unwrap().head, AuditAnchor::NONE);
    // More than one page, and more than one commit.
    let drafts = (0..1_200).map(|n| told(&format!("auth.n{n}"))).collect();
    assert_eq!(trail.append(drafts).await.unwrap(), 1_200);
    let verified = trail.verify().await.unwrap();
    assert_eq!((verified.entries, verified.erased), (1_200, 0));
    assert_eq!(verified.head, trail.head().await.unwrap());
    assert_eq!(verified.head.number(), 1_200);
}

#[tokio::test]
async fn what_comes_from_one_source_is_told_once() {
    let (shelf, trail) = trail().await;
    let drafts = |numbers: std::ops::Range<u32>| {
        numbers
            .map(|n| told("auth.login").once(format!("run.{n}")))
            .collect::<Vec<_>>()
    };
    assert_eq!(trail.append(drafts(0..3)).await.unwrap(), 3);
    // Some of them again, twice in one call, and by somebody who does not know of them.
    let other = AuditTrail::new(shelf, keys());
    let again = [drafts(1..5), drafts(1..5)].concat();
    assert_eq!(other.append(again).await.unwrap(), 2);
    assert_eq!(trail.append(drafts(0..5)).await.unwrap(), 0);
    assert_eq!(trail.verify().await.unwrap().entries, 5);
}

/// Each of these has a trail of its own, as processes have.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_append_at_once_make_one_chain() {
    const EACH: u64 = 40;

    let (store, scope) = (new_store(), scope(org()));
    let appends = (0..8).map(|who| {
        let (store, scope) = (store.clone(), scope.clone());
        Handle::current().spawn(async move {
            let trail = AuditTrail::new(store.open(&scope).await.unwrap(), keys());
            for n in 0..EACH {
                let what = format!("auth.w{who}n{n}");
                trail.append(vec![told(&what)]).await.unwrap();
            }
        })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap();
    }
    let shelf = store.open(&scope).await.unwrap();
    let trail = AuditTrail::new(Arc::clone(&shelf), keys());
    assert_eq!(trail.verify().await.unwrap().entries, 8 * EACH);
    let mut seen = HashSet::new();
    for number in 1..=8 * EACH {
        seen.insert(trail.entry(number).await.unwrap().unwrap().what);
    }
    assert_eq!(
        seen.len() as u64,
        8 * EACH,
        "nothing is lost, nothing is there twice"
    );
}

#[tokio::test]
async fn what_is_exported_verifies_without_the_database() {
    let (shelf, trail) = trail().await;
    let drafts = (0..30).map(|n| told(&format!("auth.n{n}"))).collect();
    trail.append(drafts).await.unwrap();
    let anchor = trail.head().await.unwrap();
    let lines: Vec<String> = trail.export().try_collect().await.unwrap();
    assert_eq!(lines.len(), 32);
    assert!(lines.iter().all(|line| !line.contains('\n')));
    let org = shelf.org();
    let verify = |lines: &[String]| verify_jsonl(lines, org, &keys(), Some(&anchor));
    assert_eq!(
        verify(&lines).unwrap(),
        trail.verify_to(&anchor).await.unwrap()
    );

    for gone in 0..lines.len() {
        let mut changed = lines.clone();
        changed.remove(gone);
        assert!(verify(&changed).is_err(), "line {gone}");
        let mut changed = lines.clone();
        changed[gone] = changed[gone].replacen('1', "2", 1);
        if changed != lines {
            assert!(verify(&changed).is_err(), "line {gone}");
        }
        let cut = verify(&lines[..gone]).unwrap_err();
        assert_eq!(cut.kind(), AuditErrorKind::Unreadable);
    }
    let other = crate::support::org();
    assert!(
        verify_jsonl(&lines, other, &keys(), None).is_err(),
        "another tenant's"
    );
    let longer = [&lines[..], &lines[31..]].concat();
    assert!(verify(&longer).is_err());
}

#[tokio::test]
async fn keys_change_and_the_trail_goes_on() {
    let (shelf, trail) = trail().await;
    trail.append(vec![told("auth.login")]).await.unwrap();
    let rotated = SealKeys::new(SealKey::new(8, [1; 32])).opening(SealKey::new(7, [0x5a; 32]));
    let next = AuditTrail::new(Arc::clone(&shelf), rotated);
    next.append(vec![told("auth.login")]).await.unwrap();
    assert_eq!(next.verify().await.unwrap().entries, 2);

    let only_new = SealKeys::new(SealKey::new(8, [1; 32]));
    let error = AuditTrail::new(shelf, only_new).verify().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.number()),
        (AuditErrorKind::UnknownKey, 1)
    );
}

#[tokio::test]
async fn an_anchor_is_parsed_from_its_text() {
    let (_, trail) = trail().await;
    assert_eq!(
        "0".parse::<AuditAnchor>().unwrap(),
        trail.head().await.unwrap()
    );
    trail.append(vec![told("auth.login")]).await.unwrap();
    let head = trail.head().await.unwrap();
    assert_eq!(head.to_string().parse::<AuditAnchor>().unwrap(), head);
    for text in [
        "",
        "1",
        "01.7.00",
        "1.7.zz",
        &format!("+{head}"),
        &format!("0{head}"),
    ] {
        assert_eq!(
            text.parse::<AuditAnchor>().unwrap_err().code(),
            "SF0731",
            "{text}"
        );
    }
}

#[tokio::test]
async fn two_tenants_have_two_trails() {
    let store = new_store();
    let (one, other) = (scope(org()), scope(org()));
    let trail = |scope| {
        let store = store.clone();
        async move { AuditTrail::new(store.open(&scope).await.unwrap(), keys()) }
    };
    let (one, other) = (trail(one).await, trail(other).await);
    one.append(vec![told("auth.login")]).await.unwrap();
    assert_eq!(other.head().await.unwrap(), AuditAnchor::NONE);
    other.append(vec![told("auth.login")]).await.unwrap();
    assert_ne!(one.head().await.unwrap(), other.head().await.unwrap());
}

/// What is kept of a person is salted: the same details have other sums.
#[tokio::test]
async fn nobody_can_guess_details_by_their_sum() {
    let (shelf, trail) = trail().await;
    trail
        .append(vec![told("auth.login"), told("auth.login")])
        .await
        .unwrap();
    let sums: HashSet<String> = rows(&*shelf, Class::Audit)
        .await
        .iter()
        .filter_map(|row| {
            let line: serde_json::Value = serde_json::from_str(&row.body).ok()?;
            line["entry"]["detail"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(sums.len(), 2);
}
