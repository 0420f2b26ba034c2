//! Rounds, medians and ratios.

use std::num::NonZeroUsize;
use std::time::Duration;

use stageflow::prelude::*;
use tokio::time::Instant;

use crate::side::{BoxError, Setup, Side, Sides};

/// What was measured, side by side.
pub(crate) struct Figures(pub(crate) Vec<(Side, Figure)>);

/// A side's figures.
pub(crate) struct Figure {
    pub(crate) p50: Against,
    pub(crate) p99: Against,
    pub(crate) per_second: Against,
}

/// The median of the rounds, and of the ratios to the side without telemetry in the same round.
#[derive(Clone, Copy)]
pub(crate) struct Against {
    pub(crate) figure: f64,
    pub(crate) ratio: f64,
}

/// One side in one round: microseconds, and runs a second with everything delivered.
#[derive(Clone, Copy)]
struct Round {
    p50: f64,
    p99: f64,
    per_second: f64,
}

impl Figures {
    /// What the bound is for: the ratio of the medians, with traces, metrics and logs.
    pub(crate) fn full(&self) -> f64 {
        let full = self.0.iter().find(|(side, _)| *side == Side::Full);
        full.map_or(f64::NAN, |(_, figure)| figure.p50.ratio)
    }
}

/// All sides, in turns; another begins each time.
pub(crate) async fn rounds(
    sides: &Sides,
    rounds: NonZeroUsize,
    runs: NonZeroUsize,
) -> Result<Figures, BoxError> {
    let count = sides.all.len();
    let mut table: Vec<Vec<Round>> = vec![Vec::new(); count];
    for first in 0..=rounds.get() {
        for at in (0..count).map(|turn| (first + turn) % count) {
            let round = round(&sides.all[at], &sides.questions, runs).await?;
            // The first one warms up.
            if first > 0 {
                table[at].push(round);
            }
        }
    }
    let figures = sides.all.iter().zip(&table).map(|(setup, rounds)| {
        let against = |part: fn(&Round) -> f64| Against {
            figure: median(rounds.iter().map(part)),
            ratio: median(rounds.iter().zip(&table[0]).map(|(a, b)| part(a) / part(b))),
        };
        let figure = Figure {
            p50: against(|round| round.p50),
            p99: against(|round| round.p99),
            per_second: against(|round| round.per_second),
        };
        (setup.side, figure)
    });
    Ok(Figures(figures.collect()))
}

async fn round(setup: &Setup, questions: &[String], runs: NonZeroUsize) -> Result<Round, BoxError> {
    setup.begin()?;
    let begun = Instant::now();
    let mut times = Vec::with_capacity(runs.get());
    for question in questions.iter().cycle().take(runs.get()) {
        let started = Instant::now();
        let run = setup
            .engine
            .run(&setup.docs_qa.pipeline, question.clone(), RunOptions::new());
        let report = run.await;
        times.push(started.elapsed());
        // A run that failed would be a cheap one.
        let _ = report.output()?;
    }
    setup.settle().await?;
    let whole = begun.elapsed();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^52 runs")]
    Ok(Round {
        p50: micros(times[times.len() / 2]),
        p99: micros(times[times.len() * 99 / 100]),
        per_second: runs.get() as f64 / whole.as_secs_f64(),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
