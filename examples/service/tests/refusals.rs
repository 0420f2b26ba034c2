//! Those who were refused at the door: how many they were, told exactly, safely and in little room, whatever they send.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stageflow::context::OrgId;
use stageflow_store::verify_jsonl;
use stageflow_testkit::Property;

use super::support::{Running, Setup, count, keys};
use crate::demo::{ACME, GLOBEX, Signer};
use crate::refusals::{OPERATOR, Refusals};

async fn shows(running: &Running, authorization: &str) -> Response {
    let request = running.request(Method::GET, "/v1/documents");
    let request = request.header("authorization", authorization);
    request.send().await.unwrap()
}

/// The trail as the operator gets it, checked without the database, and the details of its entries.
async fn trail(folder: &Path) -> (String, Vec<Value>) {
    let refusals = Refusals::open(folder, Arc::new(keys())).await.unwrap();
    let mut out = Vec::new();
    refusals.print(&mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let operator: OrgId = OPERATOR.parse().unwrap();
    let verified = verify_jsonl(text.lines(), operator, &keys(), None).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let entries: Vec<Value> = lines
        .filter_map(|line: Value| line.pointer("/detail/details").cloned())
        .collect();
    assert_eq!(entries.len() as u64, verified.entries);
    (text, entries)
}

fn sum(entries: &[Value], what: &str) -> u64 {
    let counts = entries.iter().map(|it| it[what].as_u64().unwrap());
    counts.sum()
}

#[tokio::test]
async fn refusals_are_in_a_trail_of_the_operators_own_without_the_token() {
    const CANARY: &str = "xylophonist";
    let running = Setup::new().start().await;
    let stranger = Signer::new().unwrap();
    let claims =
        json!({ "org_id": ACME.org, "sub": CANARY, "iss": "https://evil.test/\u{1b}[2J\nok" });
    let forged = stranger.sign(claims, Duration::from_secs(60));
    let old = json!({ "org_id": ACME.org, "sub": CANARY, "exp": 1_700_000_000 });
    let old = running.signer().sign(old, Duration::ZERO);
    for shown in [
        format!("Bearer {forged}"),
        format!("Bearer {forged}"),
        format!("Bearer {old}"),
        format!("Basic {CANARY}"),
        format!("Bearer {CANARY}"),
    ] {
        assert_eq!(shows(&running, &shown).await.status(), 401);
    }
    for somebody in [ACME, GLOBEX] {
        assert_eq!(running.get(somebody, "/v1/documents").await.status(), 200);
        running.service.settled().await;
        let own = running.get(somebody, "/v1/audit").await;
        let own = own.text().await.unwrap();
        assert!(!own.contains("auth.failure"), "{own}");
    }
    let folder = running.stop().await;

    let (text, entries) = trail(folder.path()).await;
    assert_eq!(sum(&entries, "refused"), 5, "{text}");
    assert_eq!(sum(&entries, "others"), 0, "{text}");
    let kinds: Vec<&Value> = entries
        .iter()
        .flat_map(|it| it["kinds"].as_array().unwrap())
        .collect();
    let counted = |said: Value| -> u64 {
        let of_kind = kinds.iter().filter(|kind| {
            let mut kind = Value::clone(kind);
            kind.as_object_mut().unwrap().remove("count");
            kind == said
        });
        of_kind.map(|kind| kind["count"].as_u64().unwrap()).sum()
    };
    let forged_as = json!({
        "reason": "unsigned", "code": "SF0604", "method": "bearer", "claimed_kid": "demo",
        "claimed_issuer": "https://evil.test/\\u{1b}[2J\\nok",
    });
    assert_eq!(counted(forged_as), 2, "{text}");
    let old_as = json!({
        "reason": "expired", "code": "SF0605", "method": "bearer", "claimed_kid": "demo",
        "claimed_issuer": "stageflow-demo",
    });
    assert_eq!(counted(old_as), 1, "{text}");
    for method in ["none", "bearer"] {
        let unreadable = json!({ "reason": "unreadable", "code": "SF0602", "method": method });
        assert_eq!(counted(unreadable), 1, "{text}");
    }
    // No part of what was shown is anywhere, neither as it came nor decoded.
    let parts = [&forged, &old].map(|token| token.split('.').collect::<Vec<_>>());
    for secret in parts.iter().flatten().chain([&CANARY]) {
        assert_eq!(count(folder.path(), secret), 0, "{secret}");
    }
}

#[tokio::test]
async fn a_flood_of_bad_tokens_is_counted_and_takes_no_room() {
    const EACH: usize = 60;
    const CLIENTS: usize = 20;
    let running = Setup::new().start().await;
    let stranger = Signer::new().unwrap();
    let client = async |client: usize| {
        for n in 0..EACH {
            let claims = json!({ "org_id": ACME.org, "sub": "x", "iss": format!("{client}-{n}") });
            let token = stranger.sign(claims, Duration::from_secs(60));
            assert_eq!(
                shows(&running, &format!("Bearer {token}")).await.status(),
                401
            );
        }
    };
    let good = async {
        for _ in 0..EACH {
            assert_eq!(running.get(ACME, "/v1/documents").await.status(), 200);
        }
    };
    tokio::join!(join_all((0..CLIENTS).map(client)), good);
    let folder = running.stop().await;

    let (text, entries) = trail(folder.path()).await;
    assert_eq!(sum(&entries, "refused"), (EACH * CLIENTS) as u64);
    // One at once, and one at the end: in between is a minute. A slow machine may see it go by.
    assert!(entries.len() <= 5, "{}", entries.len());
    assert!(text.len() < 16 << 10, "{}", text.len());
    let told: u64 = entries
        .iter()
        .flat_map(|it| it["kinds"].as_array().unwrap())
        .map(|kind| kind["count"].as_u64().unwrap())
        .sum();
    assert_eq!(told + sum(&entries, "others"), sum(&entries, "refused"));
}

#[tokio::test]
async fn a_disk_that_fails_changes_nothing_for_those_who_ask() {
    let running = Setup::new().start().await;
    running.service.refusals.close().await;
    for _ in 0..3 {
        assert_eq!(shows(&running, "Bearer nonsense").await.status(), 401);
        assert_eq!(running.get(ACME, "/v1/documents").await.status(), 200);
    }
}

/// What happens to refusals.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody is refused for this reason, with this key.
    Note(u8, u8),
    /// They are written down.
    Write,
    /// They begin to be written down, and whoever does it is dropped after so many polls.
    Begin(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, 0..12_u8).prop_map(|(reason, key)| Step::Note(reason, key)),
        1 => Just(Step::Write),
        1 => (1..4_u8).prop_map(Step::Begin),
    ]
}

async fn each_counts_once(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let refusals = Refusals::open(folder.path(), Arc::new(keys()))
        .await
        .unwrap();
    let mut reasons = BTreeMap::<String, u64>::new();
    let mut kinds = BTreeMap::<(String, String), u64>::new();
    for step in steps {
        match step {
            Step::Note(reason, key) => {
                let (reason, key) = (format!("r{reason}"), format!("k{key}"));
                refusals.note(&json!({ "reason": reason, "claimed_kid": key }));
                *reasons.entry(reason.clone()).or_default() += 1;
                *kinds.entry((reason, key)).or_default() += 1;
            }
            Step::Write => refusals.write().await.unwrap(),
            Step::Begin(polls) => {
                let mut writing = Box::pin(refusals.write());
                for _ in 0..polls {
                    if (&mut writing).now_or_never().is_some() {
                        break;
                    }
                    std::thread::yield_now();
                }
            }
        }
    }
    refusals.close().await;

    let (_, entries) = trail(folder.path()).await;
    let mut told_reasons = BTreeMap::<String, u64>::new();
    for entry in &entries {
        for (reason, count) in entry["reasons"].as_object().unwrap() {
            *told_reasons.entry(reason.clone()).or_default() += count.as_u64().unwrap();
        }
        let shown = entry["kinds"].as_array().unwrap();
        assert!(shown.len() <= 8);
        let told: u64 = shown.iter().map(|it| it["count"].as_u64().unwrap()).sum();
        assert_eq!(told + entry["others"].as_u64().unwrap(), entry["refused"]);
        for kind in shown {
            let text = |name: &str| kind[name].as_str().unwrap().to_owned();
            let known = kinds
                .get_mut(&(text("reason"), text("claimed_kid")))
                .unwrap();
            *known -= kind["count"].as_u64().unwrap();
        }
    }
    assert_eq!(told_reasons, reasons);
    assert_eq!(kinds.values().sum::<u64>(), sum(&entries, "others"));
}

#[test]
fn each_refusal_counts_once_however_often_writing_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let property = Property::new("each_refusal_counts_once")
        .cases(32)
        .each_counts_as(8);
    property.holds_for(&vec(step(), 0..120), |steps| {
        runtime.block_on(each_counts_once(steps));
        Ok(())
    });
}
