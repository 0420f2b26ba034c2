//! Sixty-four stages through the same layers, at the same time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::seq::SliceRandom as _;
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use tokio::time::{Instant, sleep};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// How many stages run at the same time.
const STAGES: usize = 64;
/// They do not start together: each of these lets some of them go a little later than the one before.
const STARTS: usize = 8;
const APART: Duration = Duration::from_millis(37);

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A20-SHARED-STATE",
        "sixty-four stages through the same layers",
    )
    .proves("each stage is measured and named as itself")
    .theme(Theme::Wed)
    .tier(Tier::Weekly)
    .modes(["I8"])
    .expected(Duration::from_secs(2))
    .control(Control::own(
        "one-clock",
        "keeps the start of a call where the next call keeps its own",
    ))
    .control(Control::own(
        "one-name",
        "names each span after the stage that started last",
    ))
    .run(run)
}

/// Measures calls: what a user's own layer for metrics looks like.
#[derive(Clone, Default)]
struct Meter {
    took: Arc<Mutex<BTreeMap<String, Vec<Duration>>>>,
    /// The control that keeps one start for all.
    shared: Option<Arc<Mutex<Option<Instant>>>>,
}

/// When this call started.
#[derive(Default)]
struct Start(Option<Instant>);

impl Hook for Meter {
    fn name(&self) -> &str {
        "meter"
    }

    fn phase(&self) -> Phase {
        Phase::Telemetry
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let now = Instant::now();
        call.scratch::<Start>().0 = Some(now);
        if let Some(shared) = &self.shared {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, _ending: &mut Ending) {
        let own = call.scratch::<Start>().0;
        let start = match &self.shared {
            None => own,
            Some(shared) => *shared.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let took = start.map_or(Duration::MAX, |start| start.elapsed());
        let mut all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(call.stage().to_string()).or_default().push(took);
    }
}

/// From when to when each span was open, under the name of the stage it says it is of.
#[derive(Clone, Default)]
struct Spans {
    took: Arc<Mutex<BTreeMap<String, Vec<Duration>>>>,
    /// The control that names spans after the latest.
    latest: Option<Arc<Mutex<String>>>,
}

/// The stage a span says it is of, and when it was opened.
struct Opened(String, Instant);

/// Reads the field `stage`.
#[derive(Default)]
struct StageOf(Option<String>);

impl Visit for StageOf {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "stage" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, format!("{value:?}").trim_matches('"'));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut stage = StageOf::default();
        attributes.record(&mut stage);
        let (Some(span), Some(stage)) = (context.span(id), stage.0) else {
            return;
        };
        if let Some(latest) = &self.latest {
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = stage.clone();
        }
        span.extensions_mut().insert(Opened(stage, Instant::now()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let extensions = span.extensions();
        let Some(Opened(stage, since)) = extensions.get() else {
            return;
        };
        let stage = match &self.latest {
            None => stage.clone(),
            Some(latest) => latest
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        };
        let mut all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(stage).or_default().push(since.elapsed());
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    lab.trials(lab.scaled(40), |lab, trial| {
        // Each takes a time of its own, and which is which is drawn.
        let mut takes: Vec<u64> = (1..=STAGES as u64).map(|step| step * 10).collect();
        takes.shuffle(&mut trial.seed.rng());
        once(lab, &takes)
    })
}

/// The stages, each with the time it takes.
fn pipeline(takes: &[u64]) -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("shared");
    let input = p.input::<u64>();
    let starts: Vec<_> = (0..STARTS)
        .map(|start| {
            let wait = stage_fn(move |_cx: StageCx, n: Arc<u64>| async move {
                sleep(APART * start as u32).await;
                Ok::<_, Stop>(*n)
            });
            p.stage(format!("start-{start}"), wait).after(input)
        })
        .collect();
    let all: Vec<_> = takes
        .iter()
        .enumerate()
        .map(|(at, millis)| {
            let time = Duration::from_millis(*millis);
            let work = stage_fn(move |_cx: StageCx, _: Arc<u64>| async move {
                sleep(time).await;
                Ok::<_, Stop>(time)
            });
            let stage = p.stage(format!("s{at}"), work);
            // Some in the task of the run, some in tasks of their own.
            let stage = if at % 2 == 0 { stage } else { stage.spawn() };
            stage.after(starts[at % STARTS])
        })
        .collect();
    let last = stage_fn(async |_cx, _: Vec<Arc<Duration>>| Ok(0_u64));
    let last = p.stage("last", last).after(all);
    p.output(last).build().map_err(LabError::new)
}

/// How long each stage takes.
fn expected(takes: &[u64]) -> BTreeMap<String, Vec<Duration>> {
    let starts = (0..STARTS).map(|at| (format!("start-{at}"), vec![APART * at as u32]));
    let all = takes.iter().enumerate();
    all.map(|(at, millis)| (format!("s{at}"), vec![Duration::from_millis(*millis)]))
        .chain(starts)
        .chain([("last".to_owned(), vec![Duration::ZERO])])
        .collect()
}

fn once(lab: &mut Lab, takes: &[u64]) -> Result<(), LabError> {
    let pipeline = pipeline(takes)?;
    let meter = Meter {
        shared: lab.is_broken("one-clock").then(Arc::default),
        ..Meter::default()
    };
    let spans = Spans {
        latest: lab.is_broken("one-name").then(Arc::default),
        ..Spans::default()
    };
    let sink = RecordingSink::new();
    let engine = lab
        .engine()
        .intercept(Trace::new())
        .intercept(meter.clone())
        .events(sink.clone())
        .build();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(spans.clone()));
    let told = tracing::dispatcher::set_default(&dispatch);
    let report = lab.paused(async { engine.run(&pipeline, 1, RunOptions::new()).await });
    drop(told);

    let reported = report
        .stages()
        .map(|stage| (stage.name().to_string(), vec![stage.duration()]));
    let sources = [
        ("the layer for metrics", taken(&meter.took)),
        ("the spans", taken(&spans.took)),
        ("the report", reported.collect()),
        ("the events", by_events(&sink)),
    ];
    for (source, measured) in sources {
        judge(lab, source, &measured, &expected(takes));
    }
    Ok(())
}

/// Holds what one source has measured against what is so.
fn judge(
    lab: &Lab,
    source: &str,
    measured: &BTreeMap<String, Vec<Duration>>,
    expected: &BTreeMap<String, Vec<Duration>>,
) {
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(stage, took)| measured.get(*stage) != Some(took))
        .map(|(stage, took)| format!("{stage}: {:?}, not {took:?}", measured.get(stage)))
        .collect();
    lab.check(
        wrong.is_empty() && measured.len() == expected.len(),
        "each stage is measured and named as itself",
        Breach::WrongStatus,
        || {
            format!(
                "{source} say of {} stages: {}",
                wrong.len(),
                wrong.join(", ")
            )
        },
    );
}

fn taken(all: &Mutex<BTreeMap<String, Vec<Duration>>>) -> BTreeMap<String, Vec<Duration>> {
    std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From the start of each stage to its end, as events tell it.
fn by_events(sink: &RecordingSink) -> BTreeMap<String, Vec<Duration>> {
    let mut started = BTreeMap::new();
    let mut took: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for told in sink.all() {
        let (name, at) = (told.stage().unwrap_or_default().to_owned(), told.event.at());
        match told.event.kind() {
            EventKind::StageStarted { .. } => {
                started.insert(name, at);
            }
            EventKind::StageEnded { .. } => {
                let since = started.remove(&name).unwrap_or(at);
                took.entry(name).or_default().push(at.saturating_sub(since));
            }
            _ => {}
        }
    }
    took
}
