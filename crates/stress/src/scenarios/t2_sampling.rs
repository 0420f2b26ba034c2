//! One trace in a hundred, whole, with the runs inside it.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::{RunIdentity, SpanId, TraceContext, TraceFlags, TraceId, TraceParent};
use stageflow::events::{
    BoundedCounts, BoundedSink, Entry, EventKind, ExportError, Exporter, Stopping,
};
use stageflow::interceptors::async_trait;
use stageflow::prelude::*;
use stageflow_executor::EngineBuilder;
use stageflow_otel::testing::Receiver;
use stageflow_otel::{Otlp, OtlpExporter, Ratio};

use super::t2_correlation::who;
use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Seed, Theme, Tier};

/// Traces that are sent, unless whoever asked has decided.
const SHARE: f64 = 0.01;

/// The smallest of the low 56 bits of an id that is in the share: worked out once more, as the specification has it.
const LEAST: u64 = (1 << 56) - (1 << 56) / 100;

/// Runs that are on their way at the same time, and room for all that is told of them.
const CROWD: usize = 50;
const ROOM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(100 * CROWD);

/// Spans of a trace: of each of two runs one, of its two stages two each, and that of a call.
const SPANS: u64 = 2 * (1 + 2 * 2) + 1;

pub(super) fn scenario() -> Scenario {
    Scenario::new("T2-SAMPLING", "one trace in a hundred")
        .proves("with a share of 1 % a trace is sent whole, with the runs inside it, or not at all, and whoever asked decides first")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-002", "OBS-005"])
        .modes(["E3"])
        .expected(Duration::from_secs(2))
        .control(Control::own("send-all", "sends traces that are not in the share"))
        .control(Control::own("send-parts", "leaves stages out of traces that are"))
        .control(Control::own("decides-by-run", "a run inside is sent whatever becomes of the run around it"))
        .control(Control::own("forgets-who-asked", "sends traces that whoever asked does not want"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let causes = if lab.is_control() {
        300
    } else {
        lab.scaled(3_000)
    };
    let cases: Result<Vec<_>, _> = (0..causes).map(|index| case(lab, index)).collect();
    let cases = cases?;
    let flaw = Flaw::of(lab);
    let done = lab.on(Runtime::Mt2, send(lab.engine(), &cases, flaw))?;
    let (counts, spans) = done.map_err(LabError::new)?;
    lab.count_trials(causes);
    judge(lab, &cases, &counts, &spans);
    Ok(())
}

/// A cause, and who decides about its trace.
struct Case {
    identity: RunIdentity,
    trace: TraceId,
    came: Option<TraceParent>,
}

impl Case {
    fn is_sent(&self) -> bool {
        let [.., a, b, c, d, e, f, g] = self.trace.to_bytes();
        let by_id = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >= LEAST;
        self.came.map_or(by_id, |came| came.flags.is_sampled())
    }
}

/// One cause in ten comes from somebody who records the trace, one from somebody who does not.
fn case(lab: &Lab, index: u64) -> Result<Case, LabError> {
    let seed: Seed = lab.seed().child(index);
    let number: u128 = seed.rng().random();
    let trace: TraceId = who::parse(&format!("{:032x}", number.max(1)))?;
    let identity = who::nearby(seed, 0)?;
    let span = SpanId::from_bytes((index + 1).to_be_bytes()).map_err(LabError::new)?;
    let came = match index % 10 {
        3 => Some(TraceFlags::SAMPLED),
        7 => Some(TraceFlags::from_bits(0)),
        _ => None,
    };
    Ok(Case {
        identity: identity.with_trace_id(Some(trace)),
        trace,
        came: came.map(|flags| TraceParent::new(trace, span, flags)),
    })
}

/// What is broken on purpose, between the sink and the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    DecidesByRun,
    ForgetsWhoAsked,
    None,
    SendsAll,
    SendsParts,
}

impl Flaw {
    fn of(lab: &Lab) -> Self {
        let known = [
            ("decides-by-run", Self::DecidesByRun),
            ("forgets-who-asked", Self::ForgetsWhoAsked),
            ("send-all", Self::SendsAll),
            ("send-parts", Self::SendsParts),
        ];
        let broken = known.into_iter().find(|(name, _)| lab.is_broken(name));
        broken.map_or(Self::None, |(_, flaw)| flaw)
    }
}

struct Flawed {
    exporter: OtlpExporter,
    /// Sends everything.
    eager: OtlpExporter,
    flaw: Flaw,
}

#[async_trait]
impl Exporter for Flawed {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let is_inside =
            |entry: &Entry| matches!(entry, Entry::Event(run, _) if run.pipeline() == "inner");
        let starts = |entry: &Entry| matches!(entry, Entry::Event(_, event) if matches!(event.kind(), EventKind::StageStarted { .. }));
        let (rest, inside): (Vec<Entry>, Vec<Entry>) = entries
            .iter()
            .filter(|entry| self.flaw != Flaw::SendsParts || !starts(entry))
            .cloned()
            .partition(|entry| self.flaw != Flaw::DecidesByRun || !is_inside(entry));
        self.eager.export(&inside).await?;
        self.exporter.export(&rest).await
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.exporter.flush().await
    }
}

/// Spans by trace.
type Spans = HashMap<Vec<u8>, u64>;

/// Crowd after crowd of runs, each told in full before the next one.
async fn send(
    engine: EngineBuilder,
    cases: &[Case],
    flaw: Flaw,
) -> Result<(BoundedCounts, Spans), Box<dyn std::error::Error + Send + Sync>> {
    let receiver = Receiver::start().await?;
    let otlp = |share| Otlp::builder(receiver.endpoint()).sample(share).exporter();
    let share = match flaw {
        Flaw::SendsAll => Ratio::ALL,
        _ => Ratio::new(SHARE).unwrap_or_default(),
    };
    let exporter = Flawed {
        exporter: otlp(share)?,
        eager: otlp(Ratio::ALL)?,
        flaw,
    };
    let sink = BoundedSink::builder(exporter).capacity(ROOM).start();
    let engine = engine.events(sink.clone()).build();
    let outer = outer()?;
    for crowd in cases.chunks(CROWD) {
        let runs = crowd.iter().map(|case| {
            let options = RunOptions::new().identity(case.identity.clone());
            engine.run(&outer, 0, arriving(options, case, flaw))
        });
        drop(futures_util::future::join_all(runs).await);
        // If it takes too long, spans are missing: that is seen below.
        let _flushed = sink.flush(Duration::from_secs(5)).await;
    }
    let counts = sink.stop(Stopping::Drain, Duration::from_secs(5)).await;
    let mut spans = Spans::new();
    for span in receiver.spans() {
        *spans.entry(span.trace_id).or_default() += 1;
    }
    Ok((counts, spans))
}

fn arriving(options: RunOptions, case: &Case, flaw: Flaw) -> RunOptions {
    let Some(came) = case.came else {
        return options;
    };
    let flags = match flaw {
        Flaw::ForgetsWhoAsked => TraceFlags::SAMPLED,
        _ => came.flags,
    };
    let header = TraceParent::new(came.trace_id, came.span_id, flags).to_string();
    options.trace(TraceContext::from_headers([("traceparent", &header)]))
}

/// A stage that makes a call, and one that runs the other pipeline.
fn outer() -> Result<Pipeline<u64, u64>, stageflow::graph::BuildError> {
    let inner = Arc::new(inner()?);
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let calls = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        let call = async |_op| Ok::<_, Stop>(*n + 1);
        cx.operation(Operation::tool("tool"), call).await
    });
    let called = p.stage("calls", calls).after(n);
    let runs = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let inner = Arc::clone(&inner);
        async move { Ok::<_, Stop>(*cx.run(&inner, *n).await?) }
    });
    let ran = p.stage("runs", runs).after(called);
    p.output(ran).build()
}

fn inner() -> Result<Pipeline<u64, u64>, stageflow::graph::BuildError> {
    let mut p = Pipeline::builder("inner");
    let mut last = p.input::<u64>();
    for name in ["first", "second"] {
        let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok::<_, Stop>(*n + 1));
        last = p.stage(name, stage).after(last);
    }
    p.output(last).build()
}

fn judge(lab: &Lab, cases: &[Case], counts: &BoundedCounts, spans: &Spans) {
    lab.check(
        counts.delivered == counts.offered,
        "every event is delivered",
        Breach::UnaccountedDrop,
        || format!("{counts:?}"),
    );
    let (mut sent, mut by_id) = (0_u64, 0_u64);
    for case in cases {
        let found = spans.get(case.trace.to_bytes().as_slice());
        let found = found.copied().unwrap_or_default();
        let expected = if case.is_sent() { SPANS } else { 0 };
        sent += u64::from(case.is_sent());
        by_id += u64::from(case.is_sent() && case.came.is_none());
        lab.check(
            found == expected,
            "a trace is sent whole or not at all",
            Breach::WrongStatus,
            || {
                let (trace, came) = (case.trace, case.came);
                format!("{found} spans of {trace}, not {expected}; it came with {came:?}")
            },
        );
    }
    let all: u64 = spans.values().sum();
    lab.check(
        all == sent * SPANS,
        "no span is of another trace",
        Breach::Leaked,
        || format!("{all} spans, should be {}", sent * SPANS),
    );
    // Five standard deviations: seeds that miss it are one in a million.
    let free = cases.iter().filter(|case| case.came.is_none()).count() as f64;
    let (mean, reach) = (free * SHARE, 5.0 * (free * SHARE).sqrt());
    lab.check(
        lab.is_control() || (by_id > 0 && (by_id as f64 - mean).abs() <= reach),
        "a share of 1 % is about 1 %",
        Breach::WrongStatus,
        || format!("{by_id} of {free}"),
    );
    lab.metric("traces_sent", "traces", sent as f64);
    lab.metric("spans_sent", "spans", all as f64);
    lab.metric("sampled_percent", "%", 100.0 * by_id as f64 / free.max(1.0));
}
