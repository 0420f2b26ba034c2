//! Stages that ask by themselves, about what they come to know at run time.

use std::sync::Arc;

use stageflow::auth::{Access, AccessError, Authorize, OrgOnly, Principal, Resource, all_of};
use stageflow::context::OrgId;
use stageflow::prelude::*;
use stageflow_testkit::paused;

use super::{as_, decisions, door, lab, org, rbac, somebody, told};
use crate::support::Lab;

/// Reads document 17, which belongs to `owner`, from inside a stage.
fn reads(owner: Option<OrgId>) -> Pipeline<u64, bool> {
    let mut p = Pipeline::builder("read");
    let n = p.input::<u64>();
    let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| async move {
        let document = Resource::new("document", n.to_string()).owned_by(owner);
        cx.require("kb:read", document.clone())?;
        Ok::<_, Stop>(cx.may("kb:write", document))
    });
    let a = p.stage("read", stage).after(n);
    p.output(a).build().unwrap()
}

fn layer() -> Authorize {
    Authorize::new(all_of(rbac()).and(OrgOnly))
}

#[test]
fn a_stage_asks_about_a_resource_and_each_question_is_told() {
    paused(async {
        let lab = lab(layer());
        let ada = somebody("reader");
        let report = lab.engine.run(&reads(Some(ada.org())), 17, as_(&ada)).await;
        assert_eq!(report.output().unwrap(), &false);
        assert_eq!(
            told(&lab.sink),
            ["read kb:read allowed", "read kb:write denied"]
        );
        assert_eq!(decisions(&lab.sink)[0]["resource"]["id"], "17");
    });
}

#[test]
fn what_a_stage_must_not_touch_ends_the_run_as_denied() {
    paused(async {
        for owner in [None, Some(org())] {
            let lab = lab(layer());
            let report = lab
                .engine
                .run(&reads(owner), 17, as_(&somebody("curator")))
                .await;
            assert_eq!(report.outcome(), Outcome::Denied);
            let error = AccessError::among(&report.output().unwrap_err()).unwrap();
            assert_eq!((error.code(), error.resource().id()), ("SF0640", "17"));
            assert_eq!(error.decision().policy(), "authorize");
            assert_eq!(told(&lab.sink), ["read kb:read denied"]);
        }
    });
}

#[test]
fn without_a_policy_for_stages_nobody_may_do_anything() {
    paused(async {
        let lab = Lab::with(|engine| engine.admit(door()).intercept(layer()));
        let ada = somebody("curator");
        let report = lab.engine.run(&reads(Some(ada.org())), 17, as_(&ada)).await;
        let error = AccessError::among(&report.output().unwrap_err()).unwrap();
        assert_eq!(error.code(), "SF0625");
        assert!(
            error
                .to_string()
                .contains("`.admit(authorize.for_stages())`"),
            "{error}"
        );
        assert_eq!(told(&lab.sink), ["read kb:read denied"]);
    });
}

#[test]
fn runs_that_stages_start_are_for_the_same_people() {
    paused(async {
        let lab = lab(layer());
        let child = |who: &Principal| {
            let inner = reads(Some(who.org()));
            let mut p = Pipeline::builder("outer");
            let n = p.input::<u64>();
            let a = p.stage("start", sub(&inner)).after(n);
            p.output(a).build().unwrap()
        };
        let (ada, bob) = (somebody("curator"), somebody("nothing"));
        let report = lab.engine.run(&child(&ada), 17, as_(&ada)).await;
        assert_eq!(report.output().unwrap(), &true);
        let report = lab.engine.run(&child(&bob), 17, as_(&bob)).await;
        assert!(!report.is_success());
        assert!(
            AccessError::among(&report.output().unwrap_err()).is_some(),
            "{report:?}"
        );
        let effects = told(&lab.sink);
        assert_eq!(
            effects,
            [
                "read kb:read allowed",
                "read kb:write allowed",
                "read kb:read denied"
            ]
        );
    });
}
