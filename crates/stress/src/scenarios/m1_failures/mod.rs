//! Stages that fail at random, in every way there is.

mod draw;
mod retried;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::{BuildError, StageBuilder};
use stageflow::prelude::*;
use stageflow_testkit::Probe;
use tokio::sync::Barrier;

use self::draw::{P_FAILURE, Policy, draw};
use super::t3_cancel::bench::{Bench, Built, Done};
use super::t3_cancel::case::Mode;
use super::t3_cancel::once;
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// After so many runs all slots must be there.
const BATCH: u64 = 25;
const WIDTH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// The distance in standard deviations that 99.9 % of normal values keep.
const Z_999: f64 = 3.2905;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new(
        "M1-FAILURES",
        "stages that fail at random, in every way there is",
    )
    .proves(
        "one attempt in ten fails in one of eight ways: each failure is blamed on its stage and \
             its mode, takes exactly its cone along, and leaves every slot and cleanup in order",
    )
    .theme(Theme::Any)
    .tier(Tier::Daily)
    .targets([
        "LLM-SYS-004",
        "CHAOS-006",
        "CHAOS-008",
        "WORK-006",
        "CONTRACT-003",
    ])
    .modes(["D5", "D6", "D7", "R1", "R2", "R8", "R9", "R11"])
    .expected(Duration::from_secs(5))
    .control(engine(
        "swallow-panic",
        "says of one panic in a hundred that it was a skip",
        "SwallowPanic",
        100,
    ))
    .control(engine(
        "blame-another",
        "blames one failure in a hundred on the stage declared before",
        "BlameAnother",
        100,
    ))
    .control(engine(
        "leak-slot",
        "does not give back the slot of one failed stage in fifty",
        "LeakSlot",
        50,
    ))
    .control(engine(
        "keep-dependents",
        "does not carry one skip in ten on",
        "KeepDependents",
        10,
    ))
    .control(engine(
        "ignore-limit",
        "does not keep one limit in fifty",
        "IgnoreLimit",
        50,
    ))
    .control(engine(
        "retry-is-skip",
        "says of one stage in fifty that asks for another attempt that it skipped",
        "RetryIsSkip",
        50,
    ))
    .control(engine(
        "start-early",
        "starts one stage in ten thousand before its last dependency has ended",
        "StartEarly",
        10_000,
    ))
    .control(engine(
        "swap-ready",
        "lets two stages that are ready change places, one time in ten thousand",
        "SwapReady",
        10_000,
    ))
    .control(Control::own(
        "unlogged",
        "lets one stage in fifty fail that nobody told to",
    ))
    .control(Control::own(
        "once-more",
        "tries once more than it was told",
    ))
    .run(run)
}

/// What was counted over all runs.
#[derive(Default)]
struct Counts {
    injected: BTreeMap<Mode, u64>,
    surfaced: BTreeMap<Mode, u64>,
    runs: u64,
    succeeded: u64,
    expected: f64,
    variance: f64,
    stages: u64,
    attempts_max: u32,
    skipped: u64,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench::new(lab);
    let mut counts = Counts::default();
    lab.trials(lab.scaled(1000), |lab, trial| {
        let policy = Policy::ALL[trial.index as usize % Policy::ALL.len()];
        let case = draw(&mut trial.seed.rng(), policy);
        let (built, done) = once(lab, &bench, case)?;
        counts.add(policy, &built, &done);
        if !lab.is_over() {
            // The same graph with nothing that fails.
            let whole = draw(&mut trial.seed.rng(), Policy::Healthy);
            let (_, done) = once(lab, &bench, whole)?;
            let succeeded = done.report.is_some_and(|report| report.is_success());
            lab.check(
                succeeded,
                "what nobody lets fail succeeds",
                Breach::WrongStatus,
                || "a run without injections did not succeed".to_owned(),
            );
        }
        if trial.index % BATCH == BATCH - 1 && !lab.is_over() {
            full_width(lab, &bench)?;
        }
        Ok(())
    })?;
    counts.tell(lab);
    bench.tell(lab);
    if !lab.is_over() {
        retried::retried(lab)?;
    }
    Ok(())
}

impl Counts {
    fn add(&mut self, policy: Policy, built: &Built, done: &Done) {
        let (case, Some(report)) = (&built.case, &done.report) else {
            return;
        };
        let prediction = case.predict();
        for stage in prediction.errors {
            *self.injected.entry(case.parts[stage].mode).or_default() += 1;
        }
        for error in report.errors() {
            let at = report
                .stages()
                .position(|stage| stage.name() == error.stage());
            if let Some(mode) = at.map(|at| case.parts[at].mode) {
                *self.surfaced.entry(mode).or_default() += 1;
            }
        }
        for stage in report.stages() {
            self.stages += 1;
            self.attempts_max = self.attempts_max.max(stage.attempts());
            self.skipped += u64::from(stage.outcome() == Outcome::Skipped);
        }
        if policy != Policy::Skipping {
            let required = case.spec.stages.iter().filter(|stage| !stage.optional);
            let chance = (1.0 - P_FAILURE).powi(required.count() as i32);
            self.runs += 1;
            self.succeeded += u64::from(report.is_success());
            self.expected += chance;
            self.variance += chance * (1.0 - chance);
        }
    }

    fn tell(&self, lab: &Lab) {
        for mode in Mode::FAILURES {
            let of = |counts: &BTreeMap<Mode, u64>| counts.get(&mode).copied().unwrap_or(0);
            let (injected, surfaced) = (of(&self.injected), of(&self.surfaced));
            let name = format!("{mode:?}").to_lowercase();
            lab.metric(&format!("injected_{name}"), "count", injected as f64);
            lab.metric(&format!("surfaced_{name}"), "count", surfaced as f64);
            lab.check(
                injected == surfaced,
                "every failure surfaces, and no other",
                Breach::Lost,
                || format!("{injected} times {mode:?}, {surfaced} in reports"),
            );
        }
        lab.metric("stages", "count", self.stages as f64);
        lab.metric("stages_skipped", "count", self.skipped as f64);
        lab.metric("attempts_max", "count", self.attempts_max.into());
        if self.runs < 50 {
            return;
        }
        let runs = self.runs as f64;
        lab.metric("success_rate", "ratio", self.succeeded as f64 / runs);
        lab.metric("success_rate_predicted", "ratio", self.expected / runs);
        let off = (self.succeeded as f64 - self.expected).abs();
        // Half a run more: counts are whole.
        let band = Z_999.mul_add(self.variance.sqrt(), 0.5);
        lab.check(
            off <= band,
            "as many runs succeed as chance lets",
            Breach::WrongStatus,
            || {
                let (succeeded, expected) = (self.succeeded, self.expected);
                format!("{succeeded} of {runs}, {expected:.1} ± {band:.1} were expected")
            },
        );
    }
}

/// As many stages as there are slots, none of which goes on before all of them have started.
fn full_width(lab: &mut Lab, bench: &Bench) -> Result<(), LabError> {
    let (probe, barrier) = (Probe::new(), Arc::new(Barrier::new(WIDTH.get())));
    let pipeline = meeting(&probe, &barrier).map_err(LabError::new)?;
    let options = RunOptions::new().concurrency(WIDTH);
    for engine in bench.engines() {
        let report = lab.paused(engine.run(&pipeline, 1, options.clone()));
        lab.check(
            report.is_success() && probe.peak() == WIDTH.get() && probe.live() == 0,
            "every slot can be had again",
            Breach::ResourceLeak,
            || format!("{} with {probe:?}", report.outcome()),
        );
    }
    Ok(())
}

fn meeting(probe: &Probe, barrier: &Arc<Barrier>) -> Result<Pipeline<u64, usize>, BuildError> {
    let mut p = Pipeline::builder("meeting");
    let input = p.input::<u64>();
    let mut met = Vec::new();
    for at in 0..WIDTH.get() {
        let (probe, barrier) = (probe.clone(), Arc::clone(barrier));
        let meet = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (probe, barrier) = (probe.clone(), Arc::clone(&barrier));
            async move {
                let live = probe.enter();
                barrier.wait().await;
                live.done();
                Ok(*n)
            }
        });
        let stage: StageBuilder<'_, _> = p.stage(format!("meet{at}"), meet);
        met.push(if at % 4 == 0 {
            stage.spawn().after(input)
        } else {
            stage.after(input)
        });
    }
    let count = stage_fn(async |_cx: StageCx, met: Vec<Arc<u64>>| Ok(met.len()));
    let count = p.stage("count", count).after(met);
    p.output(count).build()
}
