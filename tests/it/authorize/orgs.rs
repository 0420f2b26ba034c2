//! Orgs are kept apart whatever the policy says.

use std::sync::Arc;

use stageflow::auth::{
    Access, AccessError, AccessErrorKind, Authorize, OrgOnly, Resource, Ruling, all_of,
};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use super::{as_, decisions, lab, org, rbac, somebody, told};

fn document() -> Resource {
    Resource::new("document", "17")
}

/// Asks about this from inside a stage.
fn reads(what: Resource) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("read");
    let n = p.input::<u64>();
    let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let what = what.clone();
        async move {
            cx.require("kb:read", what)?;
            Ok::<_, Stop>(*n)
        }
    });
    let a = p.stage("read", stage).after(n);
    p.output(a).build().unwrap()
}

#[test]
fn a_policy_that_knows_no_orgs_opens_none() {
    paused(async {
        let ada = somebody("curator");
        let cases = [
            (document().owned_by(ada.org()), None),
            (document().shared(), None),
            (document().owned_by(org()), Some("it is another org's")),
            (document(), Some("it is nobody's")),
            (document().owned_by(None), Some("it is nobody's")),
        ];
        for (what, reason) in cases {
            let lab = lab(Authorize::new(rbac()));
            let report = lab.engine.run(&reads(what.clone()), 17, as_(&ada)).await;
            let Some(reason) = reason else {
                assert!(report.is_success(), "{what:?}: {report:?}");
                assert_eq!(told(&lab.sink), ["read kb:read allowed"]);
                continue;
            };
            assert_eq!(report.outcome(), Outcome::Denied, "{what:?}");
            let error = AccessError::among(&report.output().unwrap_err()).unwrap();
            assert_eq!(
                (error.kind(), error.code(), error.public()),
                (
                    AccessErrorKind::ForeignResource,
                    "SF0640",
                    "you may not do this"
                )
            );
            assert_eq!(
                (error.decision().policy(), error.decision().reason()),
                ("authorize", reason)
            );
            assert_eq!(told(&lab.sink), ["read kb:read denied"]);
        }
    });
}

#[test]
fn the_policy_is_not_even_asked() {
    let undecided = |_: &str| panic!("it was asked");
    let regions = stageflow::auth::Regions::new(move |org| undecided(&org.to_string()));
    let authorize = Authorize::new(regions);
    let ruling = authorize.rule(&somebody("curator"), "kb:read", document().owned_by(org()));
    assert_eq!(
        ruling.into_result().unwrap_err().kind(),
        AccessErrorKind::ForeignResource
    );
}

#[test]
fn across_orgs_the_policy_decides_and_the_event_says_whose_it_was() {
    paused(async {
        let ada = somebody("curator");
        for (what, owner) in [
            (document().owned_by(org()), "other"),
            (document(), "nobody"),
            (document().shared(), "everybody"),
            (document().owned_by(ada.org()), "own"),
        ] {
            let lab = lab(Authorize::new(rbac()).across_orgs());
            let report = lab.engine.run(&reads(what), 17, as_(&ada)).await;
            assert!(report.is_success(), "{report:?}");
            let decision = &decisions(&lab.sink)[0];
            assert_eq!(
                (&decision["resource"]["owner"], &decision["policy"]),
                (&owner.into(), &"rbac".into())
            );
        }
        // What the policy says of orgs counts.
        let authorize = Authorize::new(all_of(rbac()).and(OrgOnly)).across_orgs();
        let ruling: Ruling = authorize.rule(&ada, "kb:read", document().owned_by(org()));
        let error = ruling.into_result().unwrap_err();
        assert_eq!(
            (error.code(), error.decision().policy()),
            ("SF0621", "org-only")
        );
    });
}

#[test]
fn the_message_says_what_to_look_for() {
    let ada = somebody("curator");
    let ruling = Authorize::new(rbac()).rule(&ada, "kb:read", document().owned_by(org()));
    assert_eq!(
        ruling.into_result().unwrap_err().to_string(),
        format!(
            "SF0640: layer `authorize`: `ada` of {} asked for `kb:read` on document `17`: denied by `authorize`: it is another org's; \
             look for an id that came with the input; say whose it is with `Resource::owned_by`, or that all orgs have it with \
             `Resource::shared`",
            ada.org()
        )
    );
}
