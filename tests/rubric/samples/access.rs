//! Who may not do something, and policies that cannot be.

use std::time::{Duration, SystemTime};

use stageflow::auth::{
    Access, AccessError, AccessErrorKind, Authorize, CedarPolicy, Decision, PolicyEngine,
    Principal, Rbac, RbacProblem, Resource, Role, WhenLapsed,
};
use stageflow::context::{FixedClock, OrgId, SeededIds};
use stageflow::interceptors::{Admission, Pass};
use stageflow::prelude::*;
use stageflow_testkit::{door, paused};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = decisions();
    samples.extend(roles());
    samples.extend(cedar());
    samples
}

/// Says what it is told to say.
struct Says(Decision);

impl PolicyEngine for Says {
    fn name(&self) -> &str {
        "says"
    }

    fn decide(&self, _: &Principal, _: &str, _: &Resource) -> Decision {
        self.0.clone()
    }
}

/// Lets somebody in, whoever it is and whatever they show.
fn let_in(who: Option<Principal>, org: Option<OrgId>) -> impl Admission {
    door(move |arrival| {
        if let Some(org) = org {
            arrival.belongs_to(org, None);
        }
        if let Some(principal) = &who {
            arrival.attach(principal.clone());
        }
        Ok(Pass::free())
    })
}

/// What a stage that asks for `kb:read` by itself ends with, or one that requires it.
fn met(door: impl Admission, authorize: Option<Decision>) -> Sample {
    let mut p = Pipeline::builder("answer");
    let n = p.input::<String>();
    let requires = authorize.is_some();
    let stage = stage_fn(move |cx: StageCx, _: std::sync::Arc<String>| async move {
        if !requires {
            cx.require("kb:read", Resource::new("document", "17"))?;
        }
        Ok::<u64, Stop>(1)
    });
    let stage = p.stage("search", stage);
    let stage = match requires {
        true => stage.require("kb:read").after(n),
        false => stage.after(n),
    };
    let pipeline = p.output(stage).build().unwrap();
    let layer = Authorize::new(Says(authorize.unwrap_or_default()));
    let engine = Engine::builder().admit(door).intercept(layer).build();
    let options = RunOptions::new().credentials(Credentials::bearer(CANARY));
    let report = paused(async { engine.run(&pipeline, CANARY.to_owned(), options).await });
    let error = report.output().unwrap_err();
    let error = AccessError::among(&error).unwrap();
    let kind = kind_name("AccessErrorKind", &error.kind());
    let sample = Sample::of("AccessError", &kind, error.code(), &error).beside_a_secret();
    match error.kind() {
        AccessErrorKind::NoPolicy => sample.names(["kb:read", "document `17`"]),
        _ => sample.names(["kb:read", "answer/search"]),
    }
}

fn decisions() -> Vec<Sample> {
    let ids = SeededIds::new(7);
    let [acme, other] = [(); 2].map(|()| OrgId::generate(&ids));
    let ada = Principal::new("ada", acme);
    let known = || let_in(Some(ada.clone()), Some(acme));
    vec![
        met(known(), Some(Decision::deny("it is after six"))).facts([
            "`ada`",
            "`says`",
            "after six",
        ]),
        met(known(), Some(Decision::undecided("the list is not there"))).facts([
            "`ada`",
            "undecided",
            "the list is not there",
        ]),
        met(let_in(None, Some(acme)), Some(Decision::default()))
            .facts(["it is not known who asks"]),
        met(
            let_in(Some(ada.clone()), Some(other)),
            Some(Decision::default()),
        )
        .facts(["`ada`", "the run is for org_"]),
        met(known(), None).facts(["`ada`", "no policy is shared"]),
        lapsed(ada),
    ]
}

/// What somebody is told whose time is over.
fn lapsed(ada: Principal) -> Sample {
    let ada = ada.until(SystemTime::UNIX_EPOCH);
    let clock = FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(90));
    let layer = Authorize::new(Says(Decision::allow("she may"))).when_lapsed(WhenLapsed::Deny);
    let layer = layer.with_clock(clock);
    let ruling = layer.rule(&ada, "kb:read", Resource::new("stage", "answer/search"));
    let error = ruling.into_result().unwrap_err();
    let kind = kind_name("AccessErrorKind", &error.kind());
    Sample::of("AccessError", &kind, error.code(), &error)
        .names(["kb:read", "answer/search"])
        .facts(["`ada`", "was over"])
}

fn roles() -> Vec<Sample> {
    let error = Rbac::new([
        Role::new("reader").permits("kb:*:read"),
        Role::new("head of department"),
        Role::new("editor").inherits("reder"),
        Role::new("a").inherits("b"),
        Role::new("b").inherits("a"),
        Role::new("editor"),
    ])
    .unwrap_err();
    let problem = |problem: &RbacProblem| {
        let sample = Sample::with_text(
            "RbacError",
            "RbacError",
            Some(problem.code()),
            &problem.to_string(),
        );
        match problem {
            RbacProblem::BadPermission { .. } => sample.names(["reader"]).facts(["kb:*:read"]),
            RbacProblem::BadRole(_) => sample.names(["head of department"]).facts(["spaces"]),
            RbacProblem::Cycle(_) => sample.names(["`a`", "`b`"]).facts(["circle"]),
            RbacProblem::Repeated(_) => sample.names(["editor"]).facts(["leaves open"]),
            _ => sample.names(["editor"]).facts(["reder"]),
        }
    };
    error.problems().iter().map(problem).collect()
}

fn cedar() -> Vec<Sample> {
    let schema = "entity User; entity Resource; action \"kb:read\" appliesTo { principal: User, resource: Resource };";
    let unknown = "permit(principal, action == Action::\"kb:raed\", resource);";
    let errors = [
        CedarPolicy::new("permit(principal, action, resource);\npermt(principal);"),
        CedarPolicy::with_schema("", "entity User"),
        CedarPolicy::with_schema(unknown, schema),
    ];
    let sample = |made: Result<CedarPolicy, stageflow::auth::CedarError>| {
        let error = made.unwrap_err();
        let kind = kind_name("CedarErrorKind", &error.kind());
        Sample::of("CedarError", &kind, error.code(), &error)
            .names(["line"])
            .facts(["column"])
    };
    errors.map(sample).into_iter().collect()
}
