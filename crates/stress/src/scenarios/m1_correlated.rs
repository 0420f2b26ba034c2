//! Stages that all ask one dependency, which is ill half of the time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::StageErrorKind;
use stageflow::interceptors::{KeyBy, On};
use stageflow::prelude::*;
use stageflow_testkit::{Probe, RecordingSink};
use tokio::time::{Instant, sleep};

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier, Trial};

/// How many stages ask the dependency.
const STAGES: usize = 10;
const ATTEMPTS: u32 = 3;
const FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const COOL_DOWN: Duration = Duration::from_secs(60);
/// Runs of one trial, one after the other.
const RUNS: usize = 20;

pub(super) fn scenario() -> Scenario {
    Scenario::new("M1-CORRELATED", "failures that come together")
        .proves(
            "stages that hang on one dependency fail together, retries stay bounded, a breaker keeps calls away from it, and \
             cleanups that fail are told",
        )
        .theme(Theme::Any)
        .tier(Tier::Monthly)
        .targets(["LLM-SYS-004", "CHAOS-001"])
        .modes(["R5", "R9"])
        .expected(Duration::from_secs(2))
        .control(Control::own("one-more", "tries once more than it was told"))
        .control(Control::own("unprotected", "leaves the breaker out"))
        .control(Control::own("not-all", "lets two of the stages answer while the dependency is ill"))
        .run(run)
}

/// What one run met.
struct Met {
    ill: bool,
    start: Instant,
    end: Instant,
    /// How often the dependency was asked: calls that failed on purpose, and calls that did not.
    asked: u64,
    answered: u64,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let (mut ill, mut runs, mut asked, mut rejected) = (0_u64, 0_u64, 0_u64, 0_u64);
    lab.trials(lab.scaled(60), |lab, trial| {
        let world = World::new(lab, &trial)?;
        let mut rng = trial.seed.rng();
        let mut opened = None;
        for at in 0..RUNS {
            world.ill.store(rng.random_bool(0.5), Ordering::SeqCst);
            let pause = COOL_DOWN.mul_f64(rng.random_range(0.0..1.5));
            let seed = trial.seed.child(at as u64).get();
            let (met, report) = lab.paused(world.once(pause, seed));
            opened = judge(lab, &met, &report, opened);
            runs += 1;
            ill += u64::from(met.ill);
            asked += met.asked + met.answered;
            rejected += kinds(&report, &StageErrorKind::Rejected);
        }
        let told = world.sink.names().into_iter();
        let told = told.filter(|name| name == "layer.chaos.injected").count() as u64;
        let injected = world.chaos.injected().failures();
        lab.check(
            told == injected,
            "each failure on purpose is told",
            Breach::Lost,
            || format!("{injected} were injected, {told} told"),
        );
        Ok(())
    })?;
    for (name, count) in [
        ("runs", runs),
        ("ill", ill),
        ("asked", asked),
        ("rejected", rejected),
    ] {
        lab.metric(name, "count", count as f64);
    }
    Ok(())
}

struct World {
    ill: Arc<AtomicBool>,
    chaos: Chaos,
    probe: Probe,
    engine: Engine,
    sink: RecordingSink,
    pipeline: Pipeline<u64, usize>,
}

impl World {
    fn new(lab: &Lab, trial: &Trial) -> Result<Self, LabError> {
        let (ill, spared) = (Arc::new(AtomicBool::new(false)), lab.is_broken("not-all"));
        let is_ill = Arc::clone(&ill);
        let chaos = Chaos::new(trial.seed.get())
            .transient_errors(Chance::ALWAYS)
            .on(move |call| {
                let name = call.stage().as_str();
                let is_spared = spared && matches!(name, "ask0" | "ask1");
                name.starts_with("ask") && !is_spared && is_ill.load(Ordering::SeqCst)
            });
        let breaker = Breaker::consecutive(FAILURES)
            .cool_down(COOL_DOWN)
            .key(KeyBy::dependency("model"));
        let attempts = ATTEMPTS + u32::from(lab.is_broken("one-more"));
        let (sink, protected) = (RecordingSink::new(), !lab.is_broken("unprotected"));
        let mut engine = lab
            .engine()
            .events(sink.clone())
            .intercept(Retry::exponential(attempts).per_run(NonZeroU32::MAX))
            .intercept(chaos.clone());
        for at in (0..STAGES).filter(|_| protected) {
            engine = engine.intercept_on(On::stage(format!("ask{at}")), breaker.clone());
        }
        let probe = Probe::new();
        Ok(Self {
            pipeline: pipeline(&probe, &ill)?,
            engine: engine.blocking_threshold(Duration::MAX).build(),
            ill,
            chaos,
            probe,
            sink,
        })
    }

    /// One run, after a pause.
    async fn once(&self, pause: Duration, seed: u64) -> (Met, RunReport<usize>) {
        sleep(pause).await;
        let start = Instant::now();
        let (failed, answered) = (self.chaos.injected().failures(), self.probe.calls());
        let options = RunOptions::new()
            .seed(seed)
            .on_failure(FailurePolicy::ContinueIndependent);
        let report = self.engine.run(&self.pipeline, 1, options).await;
        let met = Met {
            ill: self.ill.load(Ordering::SeqCst),
            start,
            end: Instant::now(),
            asked: self.chaos.injected().failures() - failed,
            answered: (self.probe.calls() - answered) as u64,
        };
        (met, report)
    }
}

/// A stage whose cleanup fails while the dependency is ill, then those that ask it.
fn pipeline(probe: &Probe, ill: &Arc<AtomicBool>) -> Result<Pipeline<u64, usize>, LabError> {
    let ill = Arc::clone(ill);
    let open = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let ill = Arc::clone(&ill);
        async move {
            cx.on_cleanup("hang up", async move || {
                if ill.load(Ordering::SeqCst) {
                    return Err("nobody there");
                }
                Ok(())
            });
            Ok(*n)
        }
    });
    let mut p = Pipeline::builder("correlated");
    let n = p.input::<u64>();
    let open = p.stage("open", open).after(n);
    let mut answers = Vec::new();
    for at in 0..STAGES {
        let probe = probe.clone();
        let ask = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let live = probe.enter();
            async move {
                live.done();
                Ok(*n)
            }
        });
        answers.push(p.stage(format!("ask{at}"), ask).after(open));
    }
    let count = stage_fn(async |_cx: StageCx, all: Vec<Arc<u64>>| Ok(all.len()));
    let count = p.stage("count", count).after(answers);
    p.output(count).build().map_err(LabError::new)
}

fn kinds<O>(report: &RunReport<O>, kind: &StageErrorKind) -> u64 {
    let errors = report.errors().iter();
    errors.filter(|error| error.kind() == kind).count() as u64
}

/// When the breaker must have opened: not before the one, and not after the other.
type Opened = Option<(Instant, Instant)>;

/// Looks at one run, and works out from it whether the breaker is open afterwards.
fn judge(lab: &Lab, met: &Met, report: &RunReport<usize>, opened: Opened) -> Opened {
    let transient = kinds(report, &StageErrorKind::Failed(ErrorClass::Transient));
    let rejected = kinds(report, &StageErrorKind::Rejected);
    let said = || {
        let (ill, asked, answered) = (met.ill, met.asked, met.answered);
        format!(
            "ill: {ill}, {asked} failed, {answered} answered, {transient} errors, {rejected} rejected"
        )
    };
    lab.check(
        !met.ill || met.answered == 0 && transient + rejected == STAGES as u64,
        "stages that hang on one dependency fail together",
        Breach::WrongStatus,
        said,
    );
    let tries = |error: &StageError| error.earlier().len() + 1;
    let of_attempts = report.errors().iter().map(tries).max().unwrap_or(0);
    lab.check(
        met.asked == transient * u64::from(ATTEMPTS) && of_attempts <= ATTEMPTS as usize,
        "retries stay bounded",
        Breach::Duplicated,
        said,
    );
    let is_cooling = opened.is_some_and(|(least, _)| met.start < least + COOL_DOWN);
    let may_be_cooling = opened.is_some_and(|(_, most)| met.start < most + COOL_DOWN);
    // What a closed breaker lets in at once, what it lets in to see, and what it keeps away.
    let may_fail = match opened {
        None => STAGES as u64,
        Some(_) => u64::from(!is_cooling),
    };
    lab.check(
        transient <= may_fail && (!is_cooling || met.answered == 0),
        "an open breaker keeps calls away",
        Breach::Duplicated,
        said,
    );
    let success = report.is_success();
    lab.check(
        if success {
            !met.ill && !is_cooling
        } else {
            met.ill || may_be_cooling
        },
        "a run succeeds if the dependency is well and may be asked",
        Breach::WrongStatus,
        said,
    );
    let cleanups = report.cleanups();
    lab.check(
        cleanups.len() == 1 && (cleanups[0].outcome == Outcome::Failed) == met.ill,
        "a cleanup that fails is told",
        Breach::Lost,
        || format!("ill: {}, {cleanups:?}", met.ill),
    );
    match (success, transient) {
        (true, _) => None,
        (false, 0) => opened,
        (false, _) => Some((met.start, met.end)),
    }
}
