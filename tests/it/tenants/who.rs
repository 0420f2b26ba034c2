//! Whoever asks is named in what is told of tenants, also if it is a program with a key and no user.

use std::sync::Arc;

use stageflow::auth::Principal;
use stageflow::context::Subject;
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, TenantScope};
use stageflow_testkit::paused;

use super::{org, three};
use crate::authorize::{as_, door};
use crate::support::Lab;

/// Reaches for what is another org's, here and in a run inside.
fn reaching() -> Pipeline<u64, u64> {
    let reach = || {
        stage_fn(async |cx: StageCx, n: Arc<u64>| {
            let _ = TenantScope::of(&cx)?.check(org(2), "read");
            Ok::<_, Stop>(*n)
        })
    };
    let mut inside = Pipeline::builder("inside");
    let n = inside.input::<u64>();
    let a = inside.stage("a", reach()).after(n);
    let inside = inside.output(a).build().unwrap();
    let mut p = Pipeline::builder("outside");
    let n = p.input::<u64>();
    let a = p.stage("a", reach()).after(n);
    let b = p.stage("b", sub(&inside)).after(a);
    p.output(b).build().unwrap()
}

/// What was told of tenants, and who was named.
fn named(lab: &Lab) -> Vec<(String, Option<String>)> {
    let all = lab.sink.all();
    let notices = all
        .iter()
        .filter_map(|recorded| match recorded.event.kind() {
            EventKind::Audit(notice) if notice.name().starts_with("tenant.") => Some(notice),
            _ => None,
        });
    notices
        .map(|notice| {
            let who = notice.payload()["subject"].as_str().map(str::to_owned);
            (notice.name().to_string(), who)
        })
        .collect()
}

#[test]
fn a_program_without_a_user_is_named() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|engine| engine.admit(door()).admit(tenants.admission()));
        let pipeline = reaching();
        let program = |n| Principal::new("nightly-import", org(n));
        // A tenant, and one that nobody knows.
        let report = lab.engine.run(&pipeline, 1, as_(&program(1))).await;
        assert_eq!(report.outcome(), Outcome::Succeeded);
        let report = lab.engine.run(&pipeline, 1, as_(&program(7))).await;
        assert_eq!(report.outcome(), Outcome::Denied);
        let who = Some("nightly-import".to_owned());
        let expected = ["access_denied", "access_denied", "refused"]
            .map(|what| (format!("tenant.{what}"), who.clone()));
        assert_eq!(named(&lab), expected);
    });
}

/// Nobody is made up, and what says itself who it was is left as it is.
#[test]
fn who_was_not_proved_is_not_named() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|engine| engine.admit(tenants.admission()));
        let pipeline = reaching();
        let of_org = RunOptions::new().org(org(1));
        lab.engine.run(&pipeline, 1, of_org.clone()).await;
        let named_by_hand = of_org.attach(Subject::new("front end"));
        lab.engine.run(&pipeline, 1, named_by_hand).await;
        let who: Vec<_> = named(&lab).into_iter().map(|(_, who)| who).collect();
        let front_end = Some("front end".to_owned());
        assert_eq!(who, [None, None, front_end.clone(), front_end]);
    });
}
