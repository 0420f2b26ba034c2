//! A collector that is slow, broken, picky or away, and what it misses.

use std::collections::{HashMap, HashSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow::events::{
    BoundedCounts, BoundedSink, Entry, EventKind, ExportError, Exporter, RetryPolicy, Stopping,
};
use stageflow::interceptors::async_trait;
use stageflow::prelude::*;
use stageflow_executor::EngineBuilder;
use stageflow_otel::testing::{Answer, Receiver, attribute};
use stageflow_otel::{Otlp, OtlpCounts, OtlpExporter, Ratio};
use tokio::time::{Instant, sleep};

use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier};

/// Stages of a run, and events of it: two of the run, and three of each stage.
const STAGES: usize = 3;
const EVENTS: u64 = 2 + 3 * STAGES as u64;

/// The most that one request brings.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

/// Half of all traces.
const LEAST: u64 = 1 << 55;

pub(super) fn scenario() -> Scenario {
    Scenario::new("THU-EXPORT", "a collector that is slow, broken or away")
        .proves(
            "runs end as they would without a collector; what it misses is bounded and counted, event by event; traces are sent \
             whole or not at all",
        )
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-004", "OBS-005"])
        .modes(["E1", "E9"])
        .expected(Duration::from_secs(3))
        .control(Control::own("say-taken", "says of what could not be sent that it was"))
        .control(Control::own("lose-one", "loses one event of each batch on the way, and says nothing"))
        .control(Control::own("send-all", "sends traces that are not in the share"))
        .control(Control::own("send-parts", "leaves stages out of traces that are"))
        .control(Control::engine("lose-event", "loses one event in a hundred", "LoseEvent", 100))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let flaw = Flaw {
        says_taken: lab.is_broken("say-taken"),
        loses_one: lab.is_broken("lose-one"),
        sends_parts: lab.is_broken("send-parts"),
    };
    let share = if lab.is_broken("send-all") {
        Ratio::ALL
    } else {
        Ratio::new(0.5).unwrap_or_default()
    };
    let runs = lab.scaled(60);
    let engine = lab.engine();
    let done = lab.on(Runtime::Mt2, days(engine, runs, flaw, share))?;
    let done = done.map_err(LabError::new)?;
    lab.count_trials(done.runs);
    judge(lab, &done);
    Ok(())
}

/// What is broken on purpose, between the sink and the exporter.
#[derive(Clone, Copy, Debug)]
struct Flaw {
    says_taken: bool,
    loses_one: bool,
    sends_parts: bool,
}

struct Flawed(OtlpExporter, Flaw);

#[async_trait]
impl Exporter for Flawed {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let lost = usize::from(self.1.loses_one);
        let is_sent = |entry: &&Entry| {
            !self.1.sends_parts
                || !matches!(entry, Entry::Event(_, event) if matches!(event.kind(), EventKind::StageStarted { .. }))
        };
        let entries: Vec<Entry> = entries.iter().skip(lost).filter(is_sent).cloned().collect();
        match self.0.export(&entries).await {
            Err(_) if self.1.says_taken => Ok(()),
            result => result,
        }
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.0.flush().await
    }
}

/// What happened, as each of those who took part tells it.
struct Done {
    runs: u64,
    succeeded: u64,
    longest: Duration,
    told: u64,
    counts: BoundedCounts,
    sent: OtlpCounts,
    /// How often a collector went away, and may have taken what it did not answer.
    vanished: u64,
    /// Of each run, by its trace: the events that arrived, and the spans.
    traces: HashMap<Vec<u8>, (HashSet<u64>, usize)>,
    logs: u64,
    stopped: Duration,
}

/// Good and bad days of a collector, with runs all the time.
async fn days(
    engine: EngineBuilder,
    runs: u64,
    flaw: Flaw,
    share: Ratio,
) -> Result<Done, Box<dyn std::error::Error + Send + Sync>> {
    let first = Receiver::start().await?;
    let (port, limit) = (first.port(), Duration::from_millis(250));
    let exporter = Otlp::builder(first.endpoint())
        .timeout(limit)
        .sample(share)
        .exporter()?;
    let mut receiver = Some(first);
    let monitor = exporter.monitor();
    let sink = sink(Flawed(exporter, flaw));
    let engine = engine.events(sink.clone()).build();
    let pipeline = pipeline()?;
    let mut done = Done::new(sink.counts(), monitor.counts());
    let days = [
        Some(Answer::Take),
        Some(Answer::Slow(Duration::from_millis(20))),
        Some(Answer::Busy),
        Some(Answer::Partly(2)),
        Some(Answer::Refuse),
        None,
        Some(Answer::Take),
    ];
    for day in days {
        match (&receiver, day) {
            (Some(receiver), Some(answer)) => receiver.answer(answer),
            (Some(gone), None) => {
                done.keep(gone);
                done.vanished += 1;
                receiver = None;
            }
            (None, _) => {}
        }
        done.work(&engine, &pipeline, runs).await;
        if receiver.is_none() {
            receiver = Some(Receiver::on(port).await?);
        }
    }
    let started = Instant::now();
    done.counts = sink.stop(Stopping::Drain, Duration::from_secs(2)).await;
    done.stopped = started.elapsed();
    done.sent = monitor.counts();
    receiver.iter().for_each(|receiver| done.keep(receiver));
    Ok(done)
}

fn sink(exporter: Flawed) -> BoundedSink {
    let tries = NonZeroU32::MIN.saturating_add(2);
    BoundedSink::builder(exporter)
        .capacity(NonZeroUsize::MIN.saturating_add(511))
        .batch(BATCH)
        .linger(Duration::from_millis(1))
        .retry(RetryPolicy::new(
            tries,
            Duration::from_millis(2),
            Duration::from_millis(10),
        ))
        .start()
}

fn pipeline() -> Result<Pipeline<u64, u64>, stageflow::graph::BuildError> {
    let mut p = Pipeline::builder("export");
    let mut last = p.input::<u64>();
    for index in 0..STAGES {
        let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.try_emit("work.done", serde_json::json!(*n))?;
            Ok::<_, Stop>(*n + 1)
        });
        last = p.stage(format!("s{index}"), stage).after(last);
    }
    p.output(last).build()
}

impl Done {
    fn new(counts: BoundedCounts, sent: OtlpCounts) -> Self {
        Self {
            runs: 0,
            succeeded: 0,
            longest: Duration::ZERO,
            told: 0,
            counts,
            sent,
            vanished: 0,
            traces: HashMap::new(),
            logs: 0,
            stopped: Duration::ZERO,
        }
    }

    /// Runs of a day.
    async fn work(&mut self, engine: &Engine, pipeline: &Pipeline<u64, u64>, runs: u64) {
        for _ in 0..runs {
            let started = Instant::now();
            let report = engine.run(pipeline, 0, RunOptions::new()).await;
            self.longest = self.longest.max(started.elapsed());
            self.runs += 1;
            self.succeeded += u64::from(report.is_success());
            self.told += EVENTS;
            sleep(Duration::from_micros(500)).await;
        }
    }

    /// Takes down what a collector has.
    fn keep(&mut self, receiver: &Receiver) {
        for log in receiver.logs() {
            self.logs += 1;
            let seq: Option<u64> =
                attribute(&log.attributes, "stageflow.seq").and_then(|seq| seq.parse().ok());
            let is_marker = log.event_name == "telemetry.dropped";
            let of_run = self.traces.entry(log.trace_id).or_default();
            of_run.0.extend(seq.filter(|_| !is_marker));
        }
        for span in receiver.spans() {
            self.traces.entry(span.trace_id).or_default().1 += 1;
        }
    }
}

fn judge(lab: &Lab, done: &Done) {
    let Done { counts, sent, .. } = done;
    lab.check(
        done.succeeded == done.runs,
        "no run ends differently because of its collector",
        Breach::WrongStatus,
        || format!("{} of {}", done.succeeded, done.runs),
    );
    lab.check(
        counts.offered == done.told
            && counts.offered == counts.accepted + counts.dropped
            && counts.accepted == counts.delivered + counts.failed + counts.discarded
            && counts.queued == 0,
        "every event is delivered, or counted",
        Breach::UnaccountedDrop,
        || format!("{} told, {counts:?}", done.told),
    );
    let arrived: u64 = done
        .traces
        .values()
        .map(|(events, _)| events.len() as u64)
        .sum();
    let (least, most) = (counts.delivered, counts.accepted - counts.discarded);
    lab.check(
        (least..=most).contains(&arrived),
        "what was delivered has arrived, and what was dropped has not",
        Breach::Lost,
        || format!("{arrived} arrived, {least} to {most} should have"),
    );
    let twice = done.vanished * BATCH.get() as u64;
    lab.check(
        (sent.logs..=sent.logs + twice).contains(&done.logs)
            && done.logs <= arrived + counts.markers + twice,
        "nothing arrives twice but what a collector took with it",
        Breach::Duplicated,
        || {
            format!(
                "{} log records, {} sent, {arrived} events",
                done.logs, sent.logs
            )
        },
    );
    whole(lab, done);
    tell(lab, done);
}

/// The numbers.
fn tell(lab: &Lab, done: &Done) {
    let counts = &done.counts;
    lab.metric("events", "count", counts.offered as f64);
    lab.metric(
        "lost_share",
        "ratio",
        1.0 - counts.delivered as f64 / counts.offered as f64,
    );
    lab.metric("longest_run", "ms", done.longest.as_secs_f64() * 1e3);
    lab.metric("stop", "ms", done.stopped.as_secs_f64() * 1e3);
    lab.gate("stop", Op::AtMost, 2_100.0);
}

/// Of the runs whose every event arrived, some have all their spans and the others none, as their ids say.
fn whole(lab: &Lab, done: &Done) {
    let complete = done
        .traces
        .iter()
        .filter(|(_, (events, _))| events.len() as u64 == EVENTS);
    let (mut all, mut none, mut refused) = (0_u64, 0_u64, 0_u64);
    for (trace, (_, spans)) in complete {
        let low = trace
            .iter()
            .skip(9)
            .fold(0_u64, |low, byte| low << 8 | u64::from(*byte));
        let is_picked = low >= LEAST;
        let expected = if is_picked { 1 + 2 * STAGES } else { 0 };
        if is_picked && *spans < expected && done.sent.spans_lost > 0 {
            refused += (expected - spans) as u64;
            continue;
        }
        lab.check(
            *spans == expected,
            "a trace is sent whole or not at all",
            Breach::WrongStatus,
            || format!("{spans} spans, not {expected}"),
        );
        if is_picked { all += 1 } else { none += 1 }
    }
    // A picky collector leaves gaps in traces; they are no more than it was told to have refused.
    lab.check(
        refused <= done.sent.spans_lost,
        "spans that are missing were refused",
        Breach::Lost,
        || format!("{refused} missing, {} refused", done.sent.spans_lost),
    );
    lab.check(
        all > 0 && none > 0,
        "some traces are sent and some are not",
        Breach::Lost,
        || format!("{all} sent, {none} not"),
    );
    lab.metric("traces_sent", "count", all as f64);
}
