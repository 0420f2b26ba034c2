//! What is said of runs that are not let in, and of who may be asked.

use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{Admission, Arrival, Claim, Pass, Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

/// Lets nobody in.
struct Shut(RefusalKind);

#[async_trait]
impl Admission for Shut {
    fn name(&self) -> &str {
        "opening-hours"
    }

    async fn admit(&self, _arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        let refusal = Refusal::new(self.0, "it opens at 8; ask again then");
        Err(refusal.retry_in(3.secs()))
    }
}

/// Decides about people.
struct Decides;

impl Hook for Decides {
    fn name(&self) -> &str {
        "policy"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn claim(&self) -> Claim {
        Claim::Decides
    }
}

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = vec![built(), unasked()];
    samples.extend(undecided());
    for kind in [
        RefusalKind::Unauthenticated,
        RefusalKind::Forbidden,
        RefusalKind::Busy,
        RefusalKind::Undecided,
    ] {
        samples.extend(not_let_in(kind));
    }
    samples
}

fn pipeline(permission: Option<&str>) -> Pipeline<String, u64> {
    build(permission).unwrap()
}

fn build(permission: Option<&str>) -> Result<Pipeline<String, u64>, stageflow::graph::BuildError> {
    let mut p = Pipeline::builder("answer");
    let text = p.input::<String>();
    let search = p.stage("search", script::ok(1_u64));
    let search = match permission {
        None => search.after(text),
        Some(permission) => search.require(permission).after(text),
    };
    p.output(search).build()
}

fn built() -> Sample {
    let error = build(Some("read the base")).unwrap_err();
    let problem = &error.problems()[0];
    let kind = kind_name("ProblemKind", problem.kind());
    Sample::with_text(
        "BuildError",
        &kind,
        Some(problem.code()),
        &problem.to_string(),
    )
    .names(["search"])
    .facts(["read the base"])
}

fn unasked() -> Sample {
    let error = Engine::builder()
        .intercept(Decides)
        .try_build()
        .unwrap_err();
    let kind = kind_name("StackErrorKind", &error.kind());
    Sample::of("StackError", &kind, error.code(), &error)
        .names(["policy"])
        .facts(["proves who it is"])
}

fn undecided() -> [Sample; 2] {
    paused(async {
        let pipeline = pipeline(Some("kb:read"));
        let engine = Engine::new();
        let report = engine
            .run(&pipeline, CANARY.to_owned(), RunOptions::new())
            .await;
        let error = report.output().unwrap_err();
        let RunErrorKind::Undecidable(cause) = error.kind() else {
            unreachable!("nobody decides")
        };
        let kind = kind_name("RunErrorKind", error.kind());
        let run = Sample::of("RunError", &kind, error.code(), &error).names(["answer", "search"]);
        let own = Sample::of("PermissionError", "PermissionError", cause.code(), &**cause);
        [run, own.names(["search"])].map(|sample| sample.facts(["kb:read"]).beside_a_secret())
    })
}

/// What a run says that was not let in, and the refusal itself.
fn not_let_in(kind: RefusalKind) -> [Sample; 2] {
    paused(async {
        let pipeline = pipeline(None);
        let engine = Engine::builder().admit(Shut(kind)).build();
        let options = RunOptions::new().credentials(Credentials::bearer(CANARY));
        let report = engine.run(&pipeline, CANARY.to_owned(), options).await;
        let error = report.output().unwrap_err();
        let RunErrorKind::NotAdmitted(refusal) = error.kind() else {
            unreachable!("nobody is let in")
        };
        let run = kind_name("RunErrorKind", error.kind());
        let run = Sample::of("RunError", &run, error.code(), &error).names(["answer"]);
        let own = kind_name("RefusalKind", &refusal.kind());
        let own = Sample::of("Refusal", &own, refusal.code(), refusal).names(["opening-hours"]);
        [run, own].map(|sample| sample.facts(["it opens at 8"]).beside_a_secret())
    })
}
