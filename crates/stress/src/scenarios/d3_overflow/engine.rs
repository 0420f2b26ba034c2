//! Runs whose sink is full, lies, panics or is slow: what they give is the same, and every event is accounted for.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::json;
use stageflow::context::OutputView;
use stageflow::events::{Batch, Receipt};
use stageflow::prelude::*;
use tokio::time::Instant;

use crate::stats::median;
use crate::{Breach, Lab, LabError, Op, Runtime, Seed};

const STAGES: usize = 10;

/// What happens in a run, and where.
#[derive(Clone, Copy, Debug)]
struct Plot {
    at: usize,
    twist: Twist,
    /// How often each stage goes round before it is done.
    work: u32,
}

#[derive(Clone, Copy, Debug)]
enum Twist {
    Cancel,
    Fail,
    None,
    Panic,
    Skip,
    TimeOut,
}

impl Plot {
    fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let twist = match rng.random_range(0..8) {
            0 => Twist::Cancel,
            1 => Twist::Fail,
            2 => Twist::Panic,
            3 => Twist::Skip,
            4 => Twist::TimeOut,
            _ => Twist::None,
        };
        Self {
            at: rng.random_range(0..STAGES),
            twist,
            work: 0,
        }
    }

    /// How many events such a run has: start and end, and for each stage its start, its note and its end, or its skip.
    fn events(self) -> u64 {
        let (started, skipped) = match self.twist {
            Twist::None => (STAGES, 0),
            Twist::Skip => (self.at + 1, STAGES - self.at - 1),
            _ => (self.at + 1, 0),
        };
        (2 + 3 * started + skipped) as u64
    }
}

/// A chain whose stages each say something, and one of which does what the plot says.
fn chain() -> Result<Pipeline<Plot, u64>, LabError> {
    let mut p = Pipeline::builder("chain");
    let plot = p.input::<Plot>();
    let mut last = p
        .stage("s0", stage_fn(|cx, plot: Arc<Plot>| step(cx, 0, plot, 0)))
        .timeout(Duration::from_secs(1))
        .after(plot);
    for index in 1..STAGES {
        let stage =
            stage_fn(move |cx, (plot, sum): (Arc<Plot>, Arc<u64>)| step(cx, index, plot, *sum));
        last = p
            .stage(format!("s{index}"), stage)
            .timeout(Duration::from_secs(1))
            .after((plot, last));
    }
    p.output(last).build().map_err(LabError::new)
}

async fn step(cx: StageCx, index: usize, plot: Arc<Plot>, sum: u64) -> Result<u64, Stop> {
    cx.try_emit("chain.step", json!(index))?;
    let mut hash = sum;
    for round in 0..plot.work {
        hash = std::hint::black_box(hash.wrapping_mul(31).wrapping_add(u64::from(round)));
    }
    if index == plot.at {
        match plot.twist {
            Twist::Cancel => return Err(Stop::cancel("enough")),
            Twist::Fail => return Err(Stop::fail("no")),
            Twist::None => {}
            Twist::Panic => resume_unwind(Box::new("on purpose")),
            Twist::Skip => return Err(Stop::skip("nothing to do")),
            Twist::TimeOut => std::future::pending().await,
        }
    }
    Ok(hash + index as u64)
}

/// Sinks that no run may feel.
#[derive(Clone, Copy, Debug)]
enum BadSink {
    /// Says it took more than there was.
    Boasts,
    /// Has room for one event, ever.
    Full,
    /// Says it took none, and dropped none.
    Mute,
    Panics,
    /// Holds the caller for as long as a careless sink would.
    Slow,
}

impl BadSink {
    const ALL: [Self; 5] = [
        Self::Boasts,
        Self::Full,
        Self::Mute,
        Self::Panics,
        Self::Slow,
    ];

    /// How many of a run's events it must be said to have taken.
    fn takes(self, offered: u64) -> u64 {
        match self {
            Self::Boasts | Self::Slow => offered,
            Self::Full | Self::Mute | Self::Panics => 0,
        }
    }
}

impl EventSink for BadSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        match self {
            Self::Boasts => Receipt::new(u64::MAX, u64::MAX),
            Self::Full => Receipt::new(0, count),
            Self::Mute => Receipt::new(0, 0),
            Self::Panics => resume_unwind(Box::new("a sink that panics")),
            Self::Slow => {
                (0..2000_u64).for_each(|i| {
                    std::hint::black_box(i);
                });
                Receipt::new(count, 0)
            }
        }
    }
}

/// Everything about a run that must not depend on who listens.
fn shape(report: &RunReport<u64>) -> String {
    let stages: Vec<_> = report
        .stages()
        .map(|stage| {
            (
                stage.outcome(),
                stage.attempts(),
                stage.started(),
                stage.ended(),
            )
        })
        .collect();
    let errors: Vec<_> = report.errors().iter().map(ToString::to_string).collect();
    let (output, recorded) = (report.output().ok(), report.recorded().map(OutputView::len));
    let (outcome, reason) = (report.outcome(), report.cancel_reason());
    format!("{outcome} {reason:?} {output:?} {recorded:?} {stages:?} {errors:?}")
}

/// Random runs with each bad sink, beside the same runs without one.
pub(super) fn bad_sinks(lab: &mut Lab, runs: u64) -> Result<(), LabError> {
    let pipeline = chain()?;
    let bare = lab.engine().build();
    let engines = BadSink::ALL.map(|sink| (sink, lab.engine().events(sink).build()));
    lab.trials(runs, |lab, trial| {
        let plot = Plot::random(trial.seed);
        let (expected, reports) = lab.paused(async {
            let bare = shape(&bare.run(&pipeline, plot, RunOptions::new()).await);
            let mut reports = Vec::new();
            for (sink, engine) in &engines {
                reports.push((*sink, engine.run(&pipeline, plot, RunOptions::new()).await));
            }
            (bare, reports)
        });
        for (sink, report) in reports {
            let (shape, counts) = (shape(&report), report.events());
            lab.check(shape == expected, "a sink changes nothing", Breach::WrongStatus, || {
                format!("{sink:?} with {plot:?}: {shape}; without: {expected}")
            });
            let (offered, accepted) = (plot.events(), sink.takes(plot.events()));
            let right = counts.offered == offered
                && counts.accepted == accepted
                && counts.dropped == offered - accepted
                && counts.refused_notes == 0;
            lab.check(right, "every event is accepted or dropped", Breach::UnaccountedDrop, || {
                format!("{sink:?} with {plot:?}: {counts:?}, should be {offered} and {accepted} of them")
            });
        }
        Ok(())
    })
}

/// Many runs into a bounded sink that is emptied too seldom: what reports say adds up to what the sink says.
pub(super) fn books(lab: &mut Lab, runs: u64) -> Result<(), LabError> {
    let pipeline = chain()?;
    let room = NonZeroUsize::new(500).unwrap_or(NonZeroUsize::MIN);
    let sink = Arc::new(MemorySink::bounded(room));
    let engine = lab.engine().events(Arc::clone(&sink)).build();
    let seed = lab.seed();
    let [mut offered, mut accepted, mut dropped, mut came] = [0_u64; 4];
    let lab_ref = &*lab;
    stageflow_testkit::paused(async {
        for index in 0..runs {
            let plot = Plot::random(seed.child(index));
            let before = sink.counts().accepted;
            let report = engine.run(&pipeline, plot, RunOptions::new()).await;
            let counts = report.events();
            let took = sink.counts().accepted - before;
            let right = counts.offered == plot.events()
                && counts.accepted == took
                && counts.offered == counts.accepted + counts.dropped;
            lab_ref.check(
                right,
                "every event is accepted or dropped",
                Breach::UnaccountedDrop,
                || {
                    format!(
                        "{counts:?}; the run has {} events, the sink took {took}",
                        plot.events()
                    )
                },
            );
            offered += counts.offered;
            accepted += counts.accepted;
            dropped += counts.dropped;
            if index.is_multiple_of(17) {
                came += delivered(&sink);
            }
            if lab_ref.is_over() {
                break;
            }
        }
    });
    came += delivered(&sink);
    let counts = sink.counts();
    let right = (counts.offered, counts.accepted, counts.dropped) == (offered, accepted, dropped)
        && came == accepted;
    lab.check(
        right,
        "what reports say adds up to what the sink says",
        Breach::UnaccountedDrop,
        || format!("{counts:?}; reports: {offered}, {accepted}, {dropped}; {came} came"),
    );
    lab.metric("events_checked", "events", offered as f64);
    Ok(())
}

fn delivered(sink: &MemorySink) -> u64 {
    let batches = sink.drain();
    batches.iter().map(|batch| batch.events.len() as u64).sum()
}

/// How much a full sink slows a pipeline down.
pub(super) fn interference(lab: &mut Lab, rounds: usize) -> Result<(), LabError> {
    const RUNS: usize = 20;
    let pipeline = chain()?;
    let with = lab
        .engine()
        .events(MemorySink::bounded(NonZeroUsize::MIN))
        .build();
    let without = lab.engine().build();
    let plot = Plot {
        at: 0,
        twist: Twist::None,
        work: 8000,
    };
    let ratios = lab.on(Runtime::Ct, async {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                for (engine, taken) in [(&with, &mut a), (&without, &mut b)] {
                    let before = Instant::now();
                    drop(engine.run(&pipeline, plot, RunOptions::new()).await);
                    taken.push(before.elapsed().as_secs_f64());
                }
            }
            ratios.push(median(&a) / median(&b));
        }
        ratios
    })?;
    lab.samples("pipeline_p50_ratio", "ratio", ratios);
    lab.gate("pipeline_p50_ratio", Op::AtMost, 1.25);
    Ok(())
}
