//! Many people, many roles, one engine: everybody may do what they may, and nothing else.

mod case;
mod layers;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use stageflow::auth::{Access as _, Authorize, OrgOnly, Resource, all_of};
use stageflow::events::EventKind;
use stageflow::interceptors::Cache;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use tokio::time::sleep;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};
use case::{Case, Expected, Request, Step};
use layers::{Inside, OpenHanded, Pretends, Remembers, known};

const ENTRIES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-ROLES", "roles and what they may do")
        .proves(
            "on an engine that everybody shares, with a cache and with retries, a stage runs for exactly those whose roles permit \
             all it requires, and touches what is their own org's; every question is one audit event under the right org",
        )
        .theme(Theme::Fri)
        .tier(Tier::Smoke)
        .targets(["SEC-003"])
        .modes(["I4"])
        .expected(Duration::from_secs(2))
        .control(Control::own(
            "open-handed",
            "allows what no role says anything about",
        ))
        .control(Control::own(
            "remembers",
            "gives everybody the answer that somebody was given before",
        ))
        .control(Control::own(
            "inside-the-cache",
            "asks inside the cache, where nobody comes who is given what is known",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let (mut questions, mut denials) = (0_u64, 0_u64);
    lab.trials(lab.scaled(150), |lab, trial| {
        let case = Case::draw(&mut trial.seed.rng());
        let (asked, denied) = once(lab, &case)?;
        questions += asked;
        denials += denied;
        Ok(())
    })?;
    lab.metric("questions", "count", questions as f64);
    lab.metric("denials", "count", denials as f64);
    Ok(())
}

/// The engine that all share, broken if it is to be.
fn engine(lab: &Lab, case: &Case, sink: &RecordingSink) -> Result<Engine, LabError> {
    let rbac = case.rbac()?;
    let authorize = if lab.is_broken("open-handed") {
        Authorize::new(all_of(OpenHanded(rbac)).and(OrgOnly))
    } else if lab.is_broken("remembers") {
        Authorize::new(Remembers::new(all_of(rbac).and(OrgOnly)))
    } else {
        Authorize::new(all_of(rbac).and(OrgOnly))
    };
    let builder = lab
        .engine()
        .events(sink.clone())
        .admit(known())
        .admit(authorize.for_stages())
        .intercept(Cache::new(ENTRIES))
        .intercept(Retry::exponential(2));
    let builder = if lab.is_broken("inside-the-cache") {
        builder.intercept(Pretends).intercept(Inside(authorize))
    } else {
        builder.intercept(authorize)
    };
    Ok(builder.build())
}

fn once(lab: &mut Lab, case: &Case) -> Result<(u64, u64), LabError> {
    let sink = RecordingSink::new();
    let engine = engine(lab, case, &sink)?;
    let pipelines = case.pipelines.iter().enumerate();
    let pipelines = pipelines
        .map(|(place, steps)| pipeline(place, steps))
        .collect::<Result<Vec<_>, _>>()?;
    let reports = lab.paused(join_all(case.requests.iter().map(async |request| {
        sleep(request.after).await;
        let who = &case.people[request.person];
        let options = RunOptions::new().attach(who.principal.clone());
        let pipeline = &pipelines[request.pipeline];
        engine.run(pipeline, request.of(case), options).await
    })));
    let mut told = by_run(&sink);
    let (mut questions, mut denials) = (0, 0);
    for (request, report) in case.requests.iter().zip(&reports) {
        let expected = case.expected(request);
        let told = told.remove(&report.id().to_string()).unwrap_or_default();
        judge(lab, case, request, report, &expected, &told);
        questions += told.len() as u64;
        denials += told
            .iter()
            .filter(|told| told["effect"] == "denied")
            .count() as u64;
    }
    Ok((questions, denials))
}

/// A row of stages; each takes the document on, and those that touch it ask by themselves.
fn pipeline(place: usize, steps: &[Step]) -> Result<Pipeline<Document, u64>, LabError> {
    let mut p = Pipeline::builder(format!("p{place}"));
    let document = p.input::<Document>();
    let mut last = p
        .stage("open", stage_fn(async |_cx, _: Arc<Document>| Ok(0_u64)))
        .after(document);
    for (stage, step) in steps.iter().enumerate() {
        let touches = step.touches.clone();
        let work = stage_fn(
            move |cx: StageCx, (n, document): (Arc<u64>, Arc<Document>)| {
                let touches = touches.clone();
                async move {
                    // Others are at work at the same time.
                    sleep(Duration::from_millis(1)).await;
                    if let Some(action) = touches {
                        cx.require(&action, document.0.clone())?;
                    }
                    Ok::<_, Stop>(*n + 1)
                }
            },
        );
        let built = p.stage(format!("s{stage}"), work);
        let built = step
            .requires
            .iter()
            .fold(built, |built, action| built.require(action));
        let built = if step.is_cached {
            built.cached()
        } else {
            built
        };
        last = built.after((last, document));
    }
    p.output(last).build().map_err(LabError::new)
}

/// What a run is about. Its digest is the same for everybody, so that a cache has it for everybody of an org.
#[derive(Clone, Debug)]
struct Document(Resource);

impl serde::Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id())
    }
}

/// What was decided in each run, with the org that it was told under.
fn by_run(sink: &RecordingSink) -> BTreeMap<String, Vec<Value>> {
    let mut runs = BTreeMap::<String, Vec<Value>>::new();
    for recorded in sink.all() {
        let EventKind::Audit(notice) = recorded.event.kind() else {
            continue;
        };
        if &**notice.name() == "auth.decision" {
            let mut told = notice.payload().clone();
            let org = recorded.run.identity().org_id();
            told["told_under"] = org.map(|org| org.to_string()).into();
            runs.entry(recorded.run_id().to_string())
                .or_default()
                .push(told);
        }
    }
    runs
}

fn judge(
    lab: &Lab,
    case: &Case,
    request: &Request,
    report: &RunReport<u64>,
    expected: &Expected,
    told: &[Value],
) {
    let outcome = match expected.denied {
        Some(_) => Outcome::Denied,
        None => Outcome::Succeeded,
    };
    let about = || {
        format!(
            "{request:?} of {:?}: {expected:?}",
            case.people[request.person]
        )
    };
    lab.check(
        report.outcome() == outcome,
        "a run is denied if, and only if, something in it is not permitted",
        Breach::CrossTenant,
        || format!("{}, not {outcome}: {}", report.outcome(), about()),
    );
    let steps = case.pipelines[request.pipeline].len();
    let end = expected.denied.unwrap_or(steps);
    for stage in 0..steps {
        let name = format!("s{stage}");
        let is_there = report.value_of(&name).is_some();
        lab.check(
            is_there == (stage < end),
            "a stage that is not permitted gives nothing, and neither does what comes after it",
            Breach::Leaked,
            || format!("{name} gave something: {is_there}; {}", about()),
        );
    }
    let questions: Vec<_> = told
        .iter()
        .map(|told| {
            let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
            (word("stage"), word("action"), word("effect") == "allowed")
        })
        .collect();
    lab.check(
        questions == expected.questions,
        "every question is one event, in its order",
        Breach::Lost,
        || format!("{questions:?}; {}", about()),
    );
    let org = case.people[request.person].principal.org().to_string();
    let own = |told: &Value| told["told_under"] == *org && told["org"] == *org;
    lab.check(
        told.iter().all(own),
        "a decision is told under the org of whoever asked",
        Breach::CrossTenant,
        about,
    );
}
