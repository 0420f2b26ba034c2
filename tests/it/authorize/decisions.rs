//! A stage that is not permitted does not run, and everybody knows why who may.

use std::error::Error as _;
use std::sync::Arc;

use serde_json::json;
use stageflow::auth::{
    AccessError, AccessErrorKind, Authorize, Decision, OrgOnly, PolicyEngine, Principal, Regions,
    Residency, Scopes, WhenUndecided, all_of,
};
use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{Admission, Pass, StackErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::{self as testkit, paused, script};

use super::{By, as_, decisions, door, lab, org, rbac, somebody, told};
use crate::support::{Lab, outcomes, undisturbed, watched};

/// `search` needs to read, `write` to read and write, and nobody has to be permitted `note`.
fn answer(lab: &Lab) -> Pipeline<u64, u64> {
    let stage = || watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| Ok(*n + 1));
    let mut p = Pipeline::builder("answer");
    let n = p.input::<u64>();
    p.stage("note", stage()).after(n);
    let found = p.stage("search", stage()).require("kb:read").after(n);
    let written = p
        .stage("write", stage())
        .require("kb:read")
        .require("kb:write")
        .after(found);
    p.output(written).build().unwrap()
}

#[test]
fn a_stage_runs_for_those_who_are_permitted_all_it_requires() {
    paused(async {
        let lab = lab(Authorize::new(all_of(rbac()).and(OrgOnly)));
        let pipeline = answer(&lab);
        let report = lab.engine.run(&pipeline, 1, as_(&somebody("editor"))).await;
        assert_eq!(report.output().unwrap(), &3);
        assert_eq!(
            told(&lab.sink),
            [
                "search kb:read allowed",
                "write kb:read allowed",
                "write kb:write allowed"
            ]
        );
    });
}

#[test]
fn what_is_not_permitted_does_not_run_and_the_run_is_denied() {
    paused(async {
        let lab = lab(Authorize::new(all_of(rbac()).and(OrgOnly)));
        let pipeline = answer(&lab);
        let ada = somebody("reader");
        let report = lab.engine.run(&pipeline, 1, as_(&ada)).await;
        assert_eq!(report.outcome(), Outcome::Denied);
        assert_eq!(
            outcomes(&report),
            ["note succeeded", "search succeeded", "write denied"]
        );
        assert_eq!(lab.probe.calls(), 2);
        assert!(report.value_of("write").is_none());
        // The second permission was asked after the first.
        assert_eq!(
            told(&lab.sink),
            [
                "search kb:read allowed",
                "write kb:read allowed",
                "write kb:write denied"
            ]
        );
        let org = ada.org().to_string();
        assert_eq!(
            decisions(&lab.sink)[2],
            json!({
                "subject": "ada", "org": org, "action": "kb:write",
                "resource": { "kind": "stage", "id": "answer/write", "org": org, "owner": "own", "region": null },
                "decision": "denied", "effect": "denied", "reason": "no role of theirs permits it",
                "policy": "rbac", "stage": "write", "lapsed": false,
            })
        );
        let audited = lab.sink.all();
        let audited = audited
            .iter()
            .find(|event| event.name() == "auth.decision")
            .unwrap();
        assert_eq!(
            (audited.stage(), audited.run.identity().org_id()),
            (Some("search"), Some(ada.org()))
        );
        let RunErrorKind::Denied(error) = report.output().unwrap_err().kind().clone() else {
            panic!("{report:?}");
        };
        let cause = AccessError::among(&error).unwrap();
        assert_eq!(
            (cause.kind(), cause.code()),
            (AccessErrorKind::Denied, "SF0621")
        );
        assert_eq!(cause.public(), "you may not do this");
        assert_eq!(
            error.to_string(),
            format!(
                "SF0305: stage `write` was denied: SF0621: layer `authorize`: `ada` of {org} asked for `kb:write` on \
                 stage `answer/write`: denied by `rbac`: no role of theirs permits it; change the policy, or let \
                 somebody ask who may; look at the layer that is named: it decides who may call this stage"
            )
        );
        assert!(error.source().unwrap().is::<AccessError>());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_stage_that_stands_in_requires_what_the_other_one_did() {
    paused(async {
        let lab = lab(Authorize::new(rbac()));
        let mut p = Pipeline::builder("spare");
        let n = p.input::<u64>();
        let a = p.stage("a", script::fail::<Arc<u64>, u64>("down"));
        let a = a.require("kb:read").or("b", script::ok(2)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, as_(&somebody("reader"))).await;
        assert_eq!(report.output().unwrap(), &2);
        assert_eq!(told(&lab.sink), ["a kb:read allowed", "b kb:read allowed"]);
    });
}

#[test]
fn a_denial_is_not_papered_over() {
    paused(async {
        let lab = lab(Authorize::new(rbac()));
        for place in ["optional", "fallback"] {
            let mut p = Pipeline::builder("soft");
            let n = p.input::<u64>();
            let a = p
                .stage("a", script::ok::<Arc<u64>, u64>(1))
                .require("kb:write");
            let out = match place {
                "optional" => {
                    let a = a.optional().after(n);
                    p.stage("b", script::ok::<Arc<Option<u64>>, u64>(2))
                        .after(a)
                }
                _ => a.or("b", script::ok(2)).after(n),
            };
            let pipeline = p.output(out).build().unwrap();
            let report = lab.engine.run(&pipeline, 1, as_(&somebody("reader"))).await;
            assert_eq!(report.outcome(), Outcome::Denied, "{place}");
            assert!(report.value_of("b").is_none(), "{place}");
        }
    });
}

/// Lets everybody in as whom the test says, whoever that is.
fn sloppy(who: Option<Principal>) -> impl Admission {
    testkit::door(move |arrival| {
        if let Some(principal) = &who {
            arrival.attach(principal.clone());
        }
        Ok(Pass::free())
    })
}

#[test]
fn nobody_and_somebody_of_another_org_may_do_nothing() {
    paused(async {
        let everybody = || By(|_: &Principal, _: &str, _: &_| Decision::allow("everybody may"));
        let cases = [
            (None, None, "SF0623", "show valid credentials"),
            (
                Some(somebody("curator")),
                None,
                "SF0624",
                "you may not do this",
            ),
            (
                Some(somebody("curator")),
                Some(org()),
                "SF0624",
                "you may not do this",
            ),
        ];
        for (who, run_for, code, public) in cases {
            let lab = Lab::with(|engine| {
                engine
                    .admit(sloppy(who.clone()))
                    .intercept(Authorize::new(everybody()))
            });
            let mut options = RunOptions::new();
            if let Some(org) = run_for {
                options = options.org(org);
            }
            let report = lab.engine.run(&answer(&lab), 1, options).await;
            assert_eq!(report.outcome(), Outcome::Denied);
            let error = AccessError::among(&report.output().unwrap_err()).unwrap();
            assert_eq!((error.code(), error.public()), (code, public));
            assert_eq!(told(&lab.sink), ["search kb:read denied"]);
            assert_eq!(decisions(&lab.sink)[0]["policy"], "authorize");
            // What requires nothing has run.
            assert_eq!(lab.probe.calls(), 1);
        }
    });
}

#[test]
fn what_cannot_be_decided_is_denied_unless_somebody_has_said_otherwise() {
    let doubts =
        || By(|_: &Principal, _: &str, _: &_| Decision::undecided("the list is not there"));
    let panics = || By(|_: &Principal, _: &str, _: &_| panic!("no list"));
    let with = |policy: Box<dyn FnOnce() -> Authorize>| {
        paused(async move {
            let lab = lab(policy());
            let report = lab
                .engine
                .run(&answer(&lab), 1, as_(&somebody("curator")))
                .await;
            let first = decisions(&lab.sink)[0].clone();
            let code = report.output().err().map(|error| {
                let error = AccessError::among(&error).unwrap();
                assert_eq!(
                    error.public(),
                    "this cannot be decided at present; try again later"
                );
                error.code()
            });
            let words =
                ["decision", "effect", "reason"].map(|key| first[key].as_str().unwrap().to_owned());
            (code, words.join(", "), told(&lab.sink).len())
        })
    };
    let allow = WhenUndecided::Allow;
    let denied = "undecided, denied, the list is not there".to_owned();
    assert_eq!(
        with(Box::new(move || Authorize::new(doubts()))),
        (Some("SF0622"), denied, 1)
    );
    let allowed = "undecided, allowed, the list is not there".to_owned();
    assert_eq!(
        with(Box::new(
            move || Authorize::new(doubts()).when_undecided(allow)
        )),
        (None, allowed, 3)
    );
    let panicked = "undecided, denied, the policy panicked: no list".to_owned();
    assert_eq!(
        with(Box::new(
            move || Authorize::new(panics()).when_undecided(allow)
        )),
        (Some("SF0622"), panicked, 1)
    );
}

#[test]
fn stages_are_where_the_layer_says() {
    paused(async {
        let regions = || Regions::new(|_| Residency::In("eu".into()));
        let policy = || all_of(rbac()).and(OrgOnly).and(regions());
        for (region, outcome) in [
            (Some("eu"), Outcome::Succeeded),
            (Some("us"), Outcome::Denied),
            (None, Outcome::Denied),
        ] {
            let authorize = Authorize::new(policy());
            let lab = lab(match region {
                Some(region) => authorize.in_region(region),
                None => authorize,
            });
            let report = lab
                .engine
                .run(&answer(&lab), 1, as_(&somebody("editor")))
                .await;
            assert_eq!(report.outcome(), outcome, "{region:?}");
            assert_eq!(decisions(&lab.sink)[0]["resource"]["region"], json!(region));
        }
    });
}

#[test]
fn scopes_are_enough_where_they_are_the_policy() {
    paused(async {
        let lab = lab(Authorize::new(Scopes));
        let ada = somebody("nothing")
            .with_scope("kb:read")
            .with_scope("kb:write");
        let report = lab.engine.run(&answer(&lab), 1, as_(&ada)).await;
        assert!(report.is_success());
        assert_eq!(Scopes.name(), "scopes");
    });
}

#[test]
fn an_engine_that_cannot_decide_does_not_pretend_to() {
    paused(async {
        // Nobody decides.
        let engine = undisturbed().admit(door()).build();
        let lab = Lab::new();
        let report = engine
            .run(&answer(&lab), 1, as_(&somebody("curator")))
            .await;
        assert_eq!(report.output().unwrap_err().code(), "SF0415");
        assert_eq!(lab.probe.calls(), 0);
        // Nobody finds out who asks; those who share a policy do not count.
        let authorize = Authorize::new(rbac());
        let engine = undisturbed()
            .admit(authorize.for_stages())
            .intercept(authorize)
            .try_build();
        let error = engine.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (StackErrorKind::NobodyAsks, "SF0416")
        );
    });
}
