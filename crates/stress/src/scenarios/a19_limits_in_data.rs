//! Data that tries to set limits, tenants and traces.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde_json::{Map, Value, json};
use stageflow::context::{OrgId, RunId, SystemIds, TraceContext};
use stageflow::graph::{PipelineSpec, Registry};
use stageflow::interceptors::On;
use stageflow::prelude::*;
use tokio::time::sleep;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A19-LIMITS-IN-DATA",
        "payloads that try to change the limits",
    )
    .proves("nothing in a payload, header or record changes a limit, a tenant or a trace")
    .theme(Theme::Wed)
    .tier(Tier::Weekly)
    .modes(["I10", "E6"])
    .expected(Duration::from_secs(2))
    .control(Control::own(
        "limit-from-data",
        "takes the limit of a stage from the metadata of the run",
    ))
    .control(Control::own(
        "tenant-from-data",
        "takes the tenant of the run from its payload",
    ))
    .run(run)
}

/// What programs have called the things that data must not set.
const NAMES: [&str; 22] = [
    "_attempts",
    "_org_id",
    "_resource_org_id",
    "_timeout.slow",
    "_timeout_ms",
    "attempts",
    "correlation_id",
    "deadline",
    "deadline_ms",
    "idempotency_key",
    "idle_timeout_ms",
    "limit",
    "max_attempts",
    "org",
    "org_id",
    "pools",
    "priority",
    "retries",
    "tenant",
    "timeout",
    "timeout_ms",
    "trace_id",
];

/// Something no limit could be, or something it could.
fn hostile(rng: &mut ChaCha8Rng, org: OrgId) -> Value {
    match rng.random_range(0..12) {
        0 => json!(0),
        1 => json!(-1),
        2 => json!(1e308),
        3 => json!("NaN"),
        4 => json!("abc"),
        5 => Value::Null,
        6 => json!(true),
        7 => json!(u64::MAX),
        8 => json!(1),
        9 => json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        10 => json!({ "timeout_ms": 0, "org_id": org.to_string() }),
        _ => json!(org.to_string()),
    }
}

/// Each name with something under it.
fn fields(rng: &mut ChaCha8Rng, org: OrgId) -> Map<String, Value> {
    let names = NAMES.iter().filter(|_| rng.random_bool(0.8)).copied();
    let names: Vec<_> = names.collect();
    let all = names
        .into_iter()
        .map(|name| (name.to_owned(), hostile(rng, org)));
    all.collect()
}

/// A pipeline from data: one stage that takes too long, one that is in time, one that gives hostile data on.
fn pipeline() -> Result<Pipeline<Value, Value>, LabError> {
    let spec: PipelineSpec = serde_json::from_value(json!({
        "name": "limits",
        "output": "last",
        "stages": [
            { "name": "slow", "run": "wait", "with": 5000, "optional": true, "timeout_ms": 2000 },
            { "name": "free", "run": "wait", "with": 700 },
            { "name": "quick", "run": "wait", "with": 100, "after": ["free"] },
            { "name": "last", "run": "wait", "with": 1, "after": ["slow", "quick"] },
        ],
    }))
    .map_err(LabError::new)?;
    let mut registry = Registry::new();
    registry.add("wait", |with: &Value| {
        let time = Duration::from_millis(with.as_u64().unwrap_or_default());
        let wait = move |_cx: StageCx, inputs: NamedInputs| async move {
            sleep(time).await;
            // What it was given is what it gives.
            Ok::<_, Stop>(inputs.run_input().clone())
        };
        Ok(stage_fn(wait))
    });
    spec.build(&registry).map_err(LabError::new)
}

/// The control: reads a limit from the metadata, as programs have done.
struct LimitFromData;

impl Hook for LimitFromData {
    fn name(&self) -> &str {
        "limit-from-data"
    }

    fn phase(&self) -> Phase {
        Phase::Timeout
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let metadata = call.host().snapshot().metadata();
        if let Some(millis) = metadata.get("timeout_ms").and_then(Value::as_u64) {
            let mut limits = call.limits();
            limits.attempt = (millis > 0).then(|| Duration::from_millis(millis));
            call.set_limits(limits);
        }
        Flow::Pass
    }
}

/// What a run came to, as far as data has no say in it.
#[derive(Debug, PartialEq)]
struct Came {
    stages: Vec<(String, Outcome, u32, Duration, Option<&'static str>)>,
    outcome: Outcome,
    took: Duration,
    org: Option<OrgId>,
    is_own_correlation: bool,
    has_request_key: bool,
}

fn read(report: &RunReport<Value>) -> Came {
    let identity = report.identity();
    let stages = report.stages().map(|stage| {
        let code = stage.error().map(StageError::code);
        let name = stage.name().to_string();
        (
            name,
            stage.outcome(),
            stage.attempts(),
            stage.duration(),
            code,
        )
    });
    Came {
        stages: stages.collect(),
        outcome: report.outcome(),
        took: report.duration(),
        org: identity.org_id(),
        is_own_correlation: identity.correlation_id() == identity.run_id().into(),
        has_request_key: identity.request_id().is_some(),
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let pipeline = pipeline()?;
    lab.trials(lab.scaled(400), |lab, trial| {
        let mut rng = trial.seed.rng();
        once(lab, &pipeline, &mut rng)?;
        specs(lab, &mut rng);
        headers(lab, &mut rng);
        Ok(())
    })
}

/// The same run with clean data and with hostile data.
fn once(
    lab: &mut Lab,
    pipeline: &Pipeline<Value, Value>,
    rng: &mut ChaCha8Rng,
) -> Result<(), LabError> {
    let ids = SystemIds::new();
    let (mine, theirs) = (OrgId::generate(&ids), OrgId::generate(&ids));
    let engine = lab
        .engine()
        .blocking_threshold(Duration::MAX)
        .intercept_on(On::stage("free"), Timeout::attempt(900.millis()));
    let engine = match lab.is_broken("limit-from-data") {
        true => engine.intercept(LimitFromData).build(),
        false => engine.build(),
    };
    let mut results = Vec::new();
    for data in [Map::new(), fields(rng, theirs)] {
        let org = match data.get("org_id").and_then(Value::as_str).map(str::parse) {
            Some(Ok(org)) if lab.is_broken("tenant-from-data") => org,
            _ => mine,
        };
        let identity = RunIdentity::new(RunId::generate(&ids)).with_org_id(org);
        let mut snapshot = ContextSnapshot::new(identity);
        for (name, value) in &data {
            snapshot = snapshot
                .with_metadata(name.as_str(), value.clone())
                .map_err(LabError::new)?;
        }
        let options = RunOptions::new().snapshot(snapshot).deadline(60.secs());
        let payload = Value::Object(data);
        let report = lab.paused(async { engine.run(pipeline, payload.clone(), options).await });
        lab.check(
            report.output().ok() == Some(&payload),
            "data comes out as it went in",
            Breach::Lost,
            || format!("{payload}: {:?}", report.outcome()),
        );
        results.push((read(&report), payload));
    }
    let [(clean, _), (hostile, payload)] = &*results else {
        return Ok(());
    };
    lab.check(
        clean.org == hostile.org,
        "nothing in data sets a tenant",
        Breach::CrossTenant,
        || format!("{payload}"),
    );
    let stages: Vec<_> = clean
        .stages
        .iter()
        .map(|stage| (stage.1, stage.3))
        .collect();
    let as_built = [
        (Outcome::TimedOut, 2.secs()),
        (Outcome::Succeeded, 700.millis()),
        (Outcome::Succeeded, 100.millis()),
        (Outcome::Succeeded, 1.millis()),
    ];
    lab.check(
        hostile == clean && stages == as_built,
        "nothing in data sets a limit",
        Breach::WrongStatus,
        || format!("{hostile:?}, not {clean:?}, with {payload}"),
    );
    Ok(())
}

/// A pipeline from data whose limits are none is refused, and so is what it does not know.
fn specs(lab: &Lab, rng: &mut ChaCha8Rng) {
    let limits = [
        "timeout_ms",
        "idle_timeout_ms",
        "limit",
        "retries",
        "org_id",
        "_timeout_ms",
    ];
    let limit = limits[rng.random_range(0..limits.len())];
    let values = [
        json!(0),
        json!(-1),
        json!(1e308),
        json!(0.5),
        json!("abc"),
        json!("NaN"),
    ];
    let value = &values[rng.random_range(0..values.len())];
    let spec = json!({ "name": "p", "stages": [{ "name": "a", "run": "wait", limit: value }] });
    let mut registry = Registry::new();
    registry.add("wait", |_: &Value| {
        Ok(stage_fn(async |_cx, _: NamedInputs| Ok(Value::Null)))
    });
    let built = serde_json::from_value::<PipelineSpec>(spec.clone())
        .is_ok_and(|spec| spec.build(&registry).is_ok());
    lab.check(
        !built,
        "a limit that is none is refused when a pipeline is built",
        Breach::WrongStatus,
        || spec.to_string(),
    );
}

/// A header makes a trace only if it is one, and its baggage makes nothing but baggage.
fn headers(lab: &mut Lab, rng: &mut ChaCha8Rng) {
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parents = [
        good,
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-NaN-abc-01",
        "-1",
        "",
    ];
    let parent = parents[rng.random_range(0..parents.len())];
    let org = OrgId::generate(&SystemIds::new());
    let baggage = format!("org_id={org},tenant={org},timeout_ms=0,priority=9,retries=-1");
    let trace = TraceContext::from_headers([
        ("traceparent", parent),
        ("baggage", &baggage),
        ("x-org-id", &org.to_string()),
        ("x-timeout-ms", "0"),
        ("idempotency-key", "abc"),
    ]);
    let mut p = Pipeline::builder("headers");
    let input = p.input::<u64>();
    let work = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        sleep(1.secs()).await;
        Ok(cx.identity().org_id().is_some())
    });
    let a = p.stage("a", work).after(input);
    let Ok(pipeline) = p.output(a).build() else {
        return;
    };
    let engine = lab.engine().build();
    let options = RunOptions::new().trace(trace);
    let report = lab.paused(async { engine.run(&pipeline, 1, options).await });
    let given = report.identity().trace_id().map(|id| id.to_string());
    let is_theirs = given.as_deref() == Some("4bf92f3577b34da6a3ce929d0e0e4736");
    lab.check(
        is_theirs == (parent == good),
        "a header sets a trace only if it is one",
        Breach::WrongStatus,
        || format!("{parent:?} gave {given:?}"),
    );
    lab.check(
        report.output().ok() == Some(&false) && report.duration() == 1.secs(),
        "nothing in a header sets a tenant or a limit",
        Breach::CrossTenant,
        || {
            format!(
                "{baggage}: {:?} after {:?}",
                report.outcome(),
                report.duration()
            )
        },
    );
}
