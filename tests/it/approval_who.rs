//! Who is asked: many stages of many runs, and orgs that must not meet.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use stageflow::context::{OrgId, SystemIds};
use stageflow::executor::{Decider, DeskErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use crate::approval::{letter, office};

#[test]
fn any_stage_can_ask_and_requests_of_many_runs_are_told_apart() {
    paused(async {
        let (lab, desk) = office();
        let mut p = Pipeline::builder("asking");
        let n = p.input::<u64>();
        let asks = async |cx: StageCx, n: Arc<u64>| {
            let asked = (cx.stage().to_string(), *n);
            let decision = cx.approve(&asked, Ask::new("Well?")).await?;
            assert_eq!(decision.by(), &Decider::Person("ada".into()));
            Ok(decision.accepted(asked).map_or(0, |(_, n)| n))
        };
        let a = p.stage("a", stage_fn(asks)).spawn().after(n);
        let b = p.stage("b", stage_fn(asks)).after(n);
        let sum = async |_: StageCx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
        let sum = p.stage("sum", stage_fn(sum)).after(vec![a, b]);
        let pipeline = p.output(sum).build().unwrap();

        let runs = (1..=20).map(|n| lab.engine.run(&pipeline, n, RunOptions::new()));
        let person = async {
            let mut seen = BTreeSet::new();
            for _ in 0..40 {
                let request = desk.next_request().await;
                assert!(
                    seen.insert((request.run, Arc::clone(&request.path))),
                    "each once"
                );
                let (path, n) = (&*request.path, request.payload[1].as_u64().unwrap());
                assert_eq!(request.payload[0], json!(path));
                match (path, n % 2) {
                    ("a", 0) => desk.reject(request.id, "even", "ada"),
                    ("b", 1) => desk.edit(request.id, json!(["b", 10 * n]), "ada"),
                    _ => desk.approve(request.id, "ada"),
                }
                .unwrap();
            }
        };
        let (reports, ()) = tokio::join!(futures_util::future::join_all(runs), person);
        for (n, report) in (1..=20).zip(reports) {
            let sum = if n % 2 == 0 { n } else { 11 * n };
            assert_eq!(report.output().unwrap(), &sum, "run {n}");
        }
    });
}

#[test]
fn the_desk_of_an_org_knows_nothing_of_others() {
    paused(async {
        let (lab, desk) = office();
        let pipeline = letter(&lab, approval());
        let [ours, theirs] = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
        let for_org = |org| lab.engine.run(&pipeline, 7, RunOptions::new().org(org));
        let person = async {
            let (our, their) = (desk.of(ours), desk.of(theirs));
            let request = our.next_request().await;
            assert_eq!(request.org, Some(ours));
            let other = their.next_request().await;
            assert_eq!(their.pending(), std::slice::from_ref(&other));
            assert_eq!(their.record(request.id), None);
            assert_eq!(their.find(request.run, "sign"), None);
            for refused in [
                their.approve(request.id, "eve"),
                their.edit(request.id, json!("mine"), "eve"),
                their.edit(request.id, json!(1), "eve"),
                their.reject(request.id, "no", "eve"),
            ] {
                assert_eq!(refused.unwrap_err().kind(), &DeskErrorKind::Unknown);
            }
            our.approve(request.id, "ada").unwrap();
            // Also what is over is theirs alone.
            let closed = their.approve(request.id, "eve").unwrap_err();
            assert_eq!(closed.kind(), &DeskErrorKind::Unknown);
            their.reject(other.id, "no", "bob").unwrap();
        };
        let (one, two, ()) = tokio::join!(for_org(ours), for_org(theirs), person);
        assert!(one.is_success());
        assert_eq!(two.outcome(), Outcome::Skipped);
        let history = |org| desk.of(org).history().len();
        assert_eq!(
            (history(ours), history(theirs), desk.history().len()),
            (1, 1, 2)
        );
    });
}
