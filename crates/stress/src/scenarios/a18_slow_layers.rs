//! Layers that take too long, never come back, or panic when they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// Longer than any of these runs may take: a run that is still there then has lost its deadline.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn scenario() -> Scenario {
    Scenario::new("A18-SLOW-HOOKS", "layers that never come back")
        .proves(
            "the deadline of a run holds for layers that wait, before, after and between what is inside; the layer that hangs is \
             named in the report and in the error, and every hook that was entered is left, however the call ended",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .modes(["I7", "I11"])
        .expected(Duration::from_secs(2))
        .control(Control::engine(
            "forget-deadline",
            "forgets the deadlines of runs",
            "ForgetDeadline",
            1,
        ))
        .control(Control::engine(
            "forget-layer",
            "does not say in which layer a call was stopped",
            "ForgetLayer",
            1,
        ))
        .control(Control::own(
            "left-twice",
            "counts the hooks that were left once too often",
        ))
        .run(run)
}

/// What one layer does at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Waits(Duration),
    Hangs,
    Panics,
}

/// When it does so.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    After,
}

/// One layer that waits.
#[derive(Clone, Debug)]
struct Slow {
    name: String,
    when: When,
    does: Does,
    /// Only this stage.
    stage: String,
}

impl Slow {
    async fn acts(&self) {
        match self.does {
            Does::Waits(how_long) => sleep(how_long).await,
            Does::Hangs => std::future::pending().await,
            Does::Panics => std::panic::resume_unwind(Box::new("it gave up")),
        }
    }
}

#[async_trait]
impl Around for Slow {
    fn name(&self) -> &str {
        &self.name
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mine = call.stage().as_str() == self.stage;
        if mine && self.when == When::Before {
            self.acts().await;
        }
        let ending = next.run(call).await;
        if mine && self.when == When::After {
            self.acts().await;
        }
        ending
    }
}

/// Counts how often it was entered and left.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicU64; 2]>);

impl Hook for Counts {
    fn name(&self) -> &str {
        "counts"
    }

    fn enter(&self, _call: &mut Call<'_>) -> Flow {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        Flow::Continue
    }

    fn exit(&self, _call: &mut Call<'_>, _ending: &mut Ending) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

/// One run: stages in a row, hooks and layers around each, and the time there is.
#[derive(Debug)]
struct Case {
    stages: usize,
    spawned: bool,
    layers: Vec<Slow>,
    takes: Duration,
    deadline: Duration,
}

/// What should come of it.
#[derive(Debug, PartialEq)]
enum Expected {
    InTime,
    Panicked,
    /// At the deadline, in this layer of this stage, or in the stage itself.
    Stopped(usize, Option<String>),
}

/// How a call came through its layers.
enum Passage {
    Through,
    Panicked,
    Held(Option<String>),
}

/// How one step went.
enum Step {
    Passed,
    Panicked,
    Held,
}

/// Takes the time of a step from what is left.
fn passes(does: Does, left: &mut Duration) -> Step {
    match does {
        Does::Panics => Step::Panicked,
        Does::Waits(needs) if needs < *left => {
            *left -= needs;
            Step::Passed
        }
        Does::Waits(_) | Does::Hangs => Step::Held,
    }
}

fn draw(rng: &mut ChaCha8Rng) -> Case {
    let stages = rng.random_range(1..5);
    let layers = (0..rng.random_range(1..4)).map(|place| Slow {
        name: format!("slow-{place}"),
        when: [When::Before, When::After][rng.random_range(0..2)],
        does: match rng.random_range(0..6) {
            0 => Does::Hangs,
            1 => Does::Panics,
            _ => Does::Waits(Duration::from_millis(2 * rng.random_range(0..200))),
        },
        stage: format!("s{}", rng.random_range(0..stages)),
    });
    Case {
        stages,
        layers: layers.collect(),
        spawned: rng.random_bool(0.3),
        takes: Duration::from_millis(2 * rng.random_range(0..50)),
        // Odd, so that nothing else ends at that moment.
        deadline: Duration::from_millis(2 * rng.random_range(0..400) + 1),
    }
}

impl Case {
    /// Walks through the run slowly and obviously.
    fn expected(&self) -> Expected {
        let mut left = self.deadline;
        for stage in 0..self.stages {
            let name = format!("s{stage}");
            let mine: Vec<&Slow> = self.layers.iter().filter(|l| l.stage == name).collect();
            match self.through(&mine, &mut left) {
                Passage::Through => {}
                Passage::Panicked => return Expected::Panicked,
                Passage::Held(layer) => return Expected::Stopped(stage, layer),
            }
        }
        Expected::InTime
    }

    /// In through these layers, the stage, and out again. After a panic the way out begins where it happened.
    fn through(&self, layers: &[&Slow], left: &mut Duration) -> Passage {
        let Some((outer, inner)) = layers.split_first() else {
            return match passes(Does::Waits(self.takes), left) {
                Step::Held => Passage::Held(None),
                Step::Passed | Step::Panicked => Passage::Through,
            };
        };
        let held = || Passage::Held(Some(outer.name.clone()));
        let acts = |when, left: &mut Duration| match outer.when == when {
            true => passes(outer.does, left),
            false => Step::Passed,
        };
        match acts(When::Before, left) {
            Step::Held => return held(),
            Step::Panicked => return Passage::Panicked,
            Step::Passed => {}
        }
        let inside = self.through(inner, left);
        if let Passage::Held(_) = inside {
            return inside;
        }
        match acts(When::After, left) {
            Step::Held => held(),
            Step::Panicked => Passage::Panicked,
            Step::Passed => inside,
        }
    }

    fn pipeline(&self) -> Result<Pipeline<u64, u64>, LabError> {
        let mut p = Pipeline::builder("slow-layers");
        let mut last = p.input::<u64>();
        for stage in 0..self.stages {
            let takes = self.takes;
            let work = stage_fn(move |_cx: StageCx, n: Arc<u64>| async move {
                sleep(takes).await;
                Ok(*n + 1)
            });
            let builder = p.stage(format!("s{stage}"), work);
            let builder = if self.spawned {
                builder.spawn()
            } else {
                builder
            };
            last = builder.after(last);
        }
        p.output(last).build().map_err(LabError::new)
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut stopped = 0_u64;
    lab.trials(lab.scaled(3000), |lab, trial| {
        let case = draw(&mut trial.seed.rng());
        stopped += u64::from(matches!(case.expected(), Expected::Stopped(_, Some(_))));
        once(lab, &case)
    })?;
    lab.metric("stopped_in_a_layer", "count", stopped as f64);
    Ok(())
}

fn once(lab: &mut Lab, case: &Case) -> Result<(), LabError> {
    let (pipeline, counts) = (case.pipeline()?, Counts::default());
    // Hooks outside, between and inside the layers that wait.
    let mut builder = lab
        .engine()
        .blocking_threshold(NEVER)
        .intercept(counts.clone());
    for layer in &case.layers {
        builder = builder.intercept(layer.clone()).intercept(counts.clone());
    }
    let engine = builder.build();
    let options = RunOptions::new().deadline(case.deadline);
    let (report, took) = lab.paused(async {
        let started = Instant::now();
        let report = timeout(NEVER, engine.run(&pipeline, 0, options)).await;
        (report.ok(), started.elapsed())
    });
    let Some(report) = report else {
        lab.check(false, "a run with a deadline ends", Breach::Hang, || {
            format!("{case:?}")
        });
        return Ok(());
    };
    judge(lab, case, &report, took);
    let [entered, left] = [0, 1].map(|at| counts.0[at].load(Ordering::Relaxed));
    let left = left + u64::from(lab.is_broken("left-twice"));
    lab.check(
        entered == left,
        "a hook that was entered is left once",
        Breach::Lost,
        || format!("entered {entered} times, left {left} times: {case:?}"),
    );
    Ok(())
}

/// Holds what the report says against the walk.
fn judge(lab: &Lab, case: &Case, report: &RunReport<u64>, took: Duration) {
    let expected = case.expected();
    let outcome = match &expected {
        Expected::InTime => Outcome::Succeeded,
        Expected::Panicked => Outcome::Failed,
        Expected::Stopped(..) => Outcome::TimedOut,
    };
    lab.check(
        report.outcome() == outcome,
        "a run ends as its layers let it",
        Breach::WrongStatus,
        || format!("{}, not {outcome}: {case:?}", report.outcome()),
    );
    let Expected::Stopped(stage, layer) = expected else {
        return;
    };
    lab.check(
        took == case.deadline,
        "a run ends at its deadline",
        Breach::WrongStatus,
        || format!("after {took:?}: {case:?}"),
    );
    let name = format!("s{stage}");
    let told = report.stage(&name).and_then(|stage| stage.stopped_in());
    lab.check(
        told == layer.as_deref(),
        "the layer that held the run up is named",
        Breach::Lost,
        || format!("{told:?}, not {layer:?}: {case:?}"),
    );
    let text = report
        .output()
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    let named = layer.is_none_or(|layer| text.contains(&format!("in layer `{layer}`")));
    lab.check(
        named && report.value_of(&name).is_none(),
        "the error names it, too",
        Breach::Lost,
        || text.clone(),
    );
    let finished = (0..stage).all(|stage| report.value_of(&format!("s{stage}")).is_some());
    lab.check(finished, "what was finished is kept", Breach::Lost, || {
        format!("{case:?}")
    });
}
