//! Runs whose events go to something that fails, hangs, panics, lies or has no room: nobody feels it, and the books are exact.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt as _;
use stageflow::events::{
    BoundedCounts, BoundedSink, BreakerPolicy, BreakerState, Entry, ExportError, ExportErrorKind,
    Exporter, Health, Overflow, RetryPolicy, Stopping,
};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::{Instant, sleep};

use crate::{Breach, Control, Lab, LabError, Scenario, Seed, Theme, Tier};

/// How long a stop may take.
const DEADLINE: Duration = Duration::from_secs(2);

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A13-BROKEN-SINKS",
        "sinks that panic, hang and fill the disk",
    )
    .proves("a run's result does not depend on its sink, and stopping always ends with exact books")
    .theme(Theme::Thu)
    .tier(Tier::Weekly)
    .targets(["OBS-004"])
    .modes(["E7", "E9"])
    .expected(Duration::from_secs(2))
    .control(Control::engine(
        "counts-refused",
        "events that the sink refused count as accepted",
        "CountRefusedAsAccepted",
        10,
    ))
    .control(Control::own(
        "waits-for-it",
        "a stop that waits for a downstream that hangs",
    ))
    .control(Control::own(
        "loses-failures",
        "events that could not be delivered count as delivered",
    ))
    .control(Control::own(
        "hides-it",
        "a sink that says that all is well",
    ))
    .run(run)
}

/// Downstreams that no run may feel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    /// Never takes anything; another try might help.
    Away,
    /// Takes some, and then has no room for ever.
    DiskFull,
    /// Fails every other time.
    Flaky,
    /// Answers when nobody waits any more.
    Hangs,
    /// Says it refused more than it was given.
    Lies,
    Panics,
    /// Says that no other try would help.
    Refuses,
}

impl Bad {
    const ALL: [Self; 7] = [
        Self::Away,
        Self::DiskFull,
        Self::Flaky,
        Self::Hangs,
        Self::Lies,
        Self::Panics,
        Self::Refuses,
    ];

    /// Whether no delivery ever ends well.
    fn is_hopeless(self) -> bool {
        matches!(
            self,
            Self::Away | Self::Hangs | Self::Panics | Self::Refuses
        )
    }
}

struct Downstream {
    bad: Bad,
    calls: u64,
    came: Arc<AtomicU64>,
}

#[async_trait]
impl Exporter for Downstream {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        self.calls += 1;
        let failed = |kind, what| Err(ExportError::new(kind, what));
        match self.bad {
            Bad::Away => return failed(ExportErrorKind::Transient, "nobody is there"),
            Bad::DiskFull if self.calls > 2 => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                let error = ExportError::new(ExportErrorKind::Permanent, "it cannot be written");
                return Err(error.caused_by(full));
            }
            Bad::Flaky if self.calls % 2 == 1 => {
                return failed(ExportErrorKind::Transient, "not now");
            }
            Bad::Hangs => sleep(Duration::from_secs(10)).await,
            Bad::Lies => return failed(ExportErrorKind::Refused(u64::MAX), "all of it, and more"),
            Bad::Panics => std::panic::resume_unwind(Box::new("on purpose")),
            Bad::Refuses => return failed(ExportErrorKind::Permanent, "no"),
            Bad::DiskFull | Bad::Flaky => {}
        }
        let mark = |entry: &&Entry| matches!(entry, Entry::Record(_));
        let events = entries.len() - entries.iter().filter(mark).count();
        self.came.fetch_add(events as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// What happens in the runs of a trial.
#[derive(Clone, Copy, Debug)]
enum Twist {
    Fail,
    None,
    Panic,
    TimeOut,
}

fn chain() -> Result<Pipeline<Twist, u64>, LabError> {
    let mut p = Pipeline::builder("chain");
    let twist = p.input::<Twist>();
    let first = p.stage("first", stage_fn(step)).after(twist);
    let second = stage_fn(|cx, (twist, _): (Arc<Twist>, Arc<u64>)| work(cx, *twist));
    let second = p.stage("second", second).timeout(Duration::from_secs(1));
    let second = second.after((twist, first));
    p.output(second).build().map_err(LabError::new)
}

async fn step(cx: StageCx, _twist: Arc<Twist>) -> Result<u64, Stop> {
    work(cx, Twist::None).await
}

async fn work(cx: StageCx, twist: Twist) -> Result<u64, Stop> {
    for name in ["chain.step", "audit.step", "chain.step"] {
        cx.try_emit(name, serde_json::Value::Null)?;
        sleep(Duration::from_millis(7)).await;
    }
    match twist {
        Twist::Fail => Err(Stop::fail("no")),
        Twist::None => Ok(1),
        Twist::Panic => std::panic::resume_unwind(Box::new("on purpose")),
        Twist::TimeOut => std::future::pending().await,
    }
}

/// Everything about a run that must not depend on who listens.
fn shape(report: &RunReport<u64>) -> String {
    let stages: Vec<_> = report
        .stages()
        .map(|stage| (stage.outcome(), stage.ended()))
        .collect();
    let errors: Vec<_> = report.errors().iter().map(ToString::to_string).collect();
    format!(
        "{} {stages:?} {errors:?} {:?}",
        report.outcome(),
        report.output().ok()
    )
}

/// What was seen of a sink and its runs.
struct Seen {
    shapes: Vec<(String, String)>,
    /// What the reports say was offered, accepted and dropped.
    reported: [u64; 3],
    healthy: Health,
    counts: BoundedCounts,
    lost: u64,
    came: u64,
    stopped_after: Duration,
}

struct Plot {
    bad: Bad,
    twists: Vec<Twist>,
    capacity: usize,
    overflow: Overflow,
    stopping: Stopping,
}

impl Plot {
    fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let twists = [Twist::Fail, Twist::None, Twist::Panic, Twist::TimeOut];
        let overflows = [
            Overflow::DropNewest,
            Overflow::DropOldest,
            Overflow::Wait(Duration::from_millis(5)),
        ];
        let [overflow, stopping] = [rng.random_range(0..3), rng.random_range(0..2)];
        Self {
            bad: Bad::ALL[rng.random_range(0..Bad::ALL.len())],
            twists: (0..rng.random_range(2..6))
                .map(|_| twists[rng.random_range(0..4)])
                .collect(),
            capacity: rng.random_range(1..60),
            overflow: overflows.into_iter().nth(overflow).unwrap_or_default(),
            stopping: [Stopping::Drain, Stopping::Discard][stopping],
        }
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let pipeline = chain()?;
    let trials = lab.scaled(400);
    let (mut events, mut slowest) = (0, Duration::ZERO);
    lab.trials(trials, |lab, trial| {
        let plot = Plot::random(trial.seed);
        let (bad, stopping) = (plot.bad, plot.stopping);
        let seen = paused(play(lab, &pipeline, plot));
        check(lab, &seen, bad, stopping);
        events += seen.counts.offered;
        slowest = slowest.max(seen.stopped_after);
        Ok(())
    })?;
    lab.metric("events_offered", "events", events as f64);
    lab.metric("stop_ms_max", "ms", slowest.as_secs_f64() * 1e3);
    Ok(())
}

async fn play(lab: &Lab, pipeline: &Pipeline<Twist, u64>, plot: Plot) -> Seen {
    let some = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    let three = NonZeroU32::MIN.saturating_add(2);
    let came = Arc::new(AtomicU64::new(0));
    let downstream = Downstream {
        bad: plot.bad,
        calls: 0,
        came: Arc::clone(&came),
    };
    let sink = BoundedSink::builder(downstream)
        .capacity(some(plot.capacity))
        .batch(some(4))
        .overflow(plot.overflow)
        .retry(RetryPolicy::new(
            three,
            Duration::from_millis(10),
            Duration::from_millis(50),
        ))
        .breaker(BreakerPolicy::new(three, Duration::from_secs(5)))
        .export_timeout(Duration::from_secs(3))
        .start();
    let (bare, engine) = (Engine::new(), lab.engine().events(sink.clone()).build());
    let (mut shapes, mut reported) = (Vec::new(), [0; 3]);
    for twist in plot.twists {
        let expected = shape(&bare.run(pipeline, twist, RunOptions::new()).await);
        let report = engine.run(pipeline, twist, RunOptions::new()).await;
        let counts = report.events();
        for (sum, count) in
            reported
                .iter_mut()
                .zip([counts.offered, counts.accepted, counts.dropped])
        {
            *sum += count;
        }
        shapes.push((shape(&report), expected));
    }
    // Long enough for three calls that hang.
    sleep(Duration::from_secs(15)).await;
    let healthy = if lab.is_broken("hides-it") {
        Health::default()
    } else {
        sink.health()
    };
    let deadline = if lab.is_broken("waits-for-it") {
        DEADLINE * 10
    } else {
        DEADLINE
    };
    let before = Instant::now();
    let mut counts = sink.stop(plot.stopping, deadline).await;
    let stopped_after = before.elapsed();
    if lab.is_broken("loses-failures") {
        counts.delivered += std::mem::take(&mut counts.failed);
    }
    let lost = sink.losses().iter().map(|loss| loss.count).sum();
    let came = came.load(Ordering::Relaxed);
    Seen {
        shapes,
        reported,
        healthy,
        counts,
        lost,
        came,
        stopped_after,
    }
}

fn check(lab: &Lab, seen: &Seen, bad: Bad, stopping: Stopping) {
    let counts = seen.counts;
    let wrong = seen.shapes.iter().find(|(with, without)| with != without);
    lab.check(
        wrong.is_none(),
        "a sink changes nothing",
        Breach::WrongStatus,
        || format!("{bad:?}: {wrong:?}"),
    );
    let told = seen.stopped_after <= DEADLINE + Duration::from_millis(2);
    lab.check(told, "a stop ends at its deadline", Breach::Hang, || {
        format!("{bad:?} {stopping:?}: after {:?}", seen.stopped_after)
    });
    let balanced = counts.offered == counts.accepted + counts.dropped
        && counts.accepted == counts.delivered + counts.failed + counts.discarded
        && counts.queued == 0
        && counts.delivered == seen.came
        && seen.lost == counts.dropped + counts.failed + counts.discarded;
    lab.check(
        balanced,
        "each event is in one place",
        Breach::UnaccountedDrop,
        || {
            format!(
                "{bad:?} {stopping:?}: {counts:?}, {} came, {} lost",
                seen.came, seen.lost
            )
        },
    );
    let reported = seen.reported == [counts.offered, counts.accepted, counts.dropped];
    lab.check(
        reported,
        "reports say what the sink says",
        Breach::UnaccountedDrop,
        || format!("{bad:?}: {counts:?}, the reports say {:?}", seen.reported),
    );
    let health = &seen.healthy;
    let visible = health.last_error.is_some() && health.breaker != BreakerState::Closed;
    lab.check(
        visible || !bad.is_hopeless(),
        "what is broken can be seen",
        Breach::WrongStatus,
        || format!("{bad:?}: {health:?}"),
    );
}
