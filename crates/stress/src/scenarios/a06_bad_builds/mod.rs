//! Everything that is wrong with a pipeline is said at once.

mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::Value;
use stageflow::context::{StageCx, Stop};
use stageflow::executor::RunOptions;
use stageflow::graph::{BuildError, NamedPipeline, Pipeline, stage_fn};
use stageflow_testkit::TestRuntime;

use self::plan::{Fault, Plan, fault};
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A06-BAD-BUILDS",
        "everything that is wrong with a pipeline is said at once",
    )
    .proves("one error tells everything that is wrong with a pipeline, and nothing else, each with its code, its stage and a way out, through every front door")
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["CONTRACT-004"])
    .modes(["D2", "D3"])
    .expected(Duration::from_secs(3))
    .control(Control::own("first-only", "only the first problem is told"))
    .control(Control::own("swallow", "one problem in 1000 is not told"))
    .control(Control::own("silent-replace", "of two stages with one name the second replaces the first"))
    .control(Control::own("wrong-code", "one problem in 1000 has the code of another"))
    .control(Control::own("invent", "one sound wiring in 100 is refused"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    at_once(lab);
    typed(lab);
    empty(lab);
    let (mut sound, mut faults) = (0_u64, 0_u64);
    let runtime = TestRuntime::paused();
    let count = lab.scaled(10_000);
    lab.trials(count, |lab, trial| {
        let mut rng = trial.seed.rng();
        let mut plan = Plan::sound(&mut rng);
        let spec = trial.index.is_multiple_of(2);
        let times = rng.random_range(0..=8);
        plan.spoil(&mut rng, times, spec);
        faults += plan.faults.values().sum::<usize>() as u64;
        if let Some(pipeline) = check(lab, &plan, spec) {
            sound += 1;
            // What waits twice for the same stage runs all the same.
            let engine = lab.engine().build();
            let run = engine.run(&pipeline, Value::Null, RunOptions::new());
            let report = runtime.block_on(run);
            lab.check(
                report.is_success(),
                "what is built runs",
                Breach::WrongStatus,
                || format!("{report:?}"),
            );
        }
        Ok(())
    })?;
    lab.metric("problems_planted", "count", faults as f64);
    lab.metric("sound_wirings", "count", sound as f64);
    Ok(())
}

/// The pipeline, if there is nothing wrong with the plan and nothing is said to be.
fn check(lab: &Lab, plan: &Plan, spec: bool) -> Option<NamedPipeline> {
    let mut given = plan.clone();
    if lab.is_broken("silent-replace") {
        let mut kept: Vec<String> = Vec::new();
        given.stages.retain(|stage| {
            let known = kept.contains(&stage.name);
            kept.push(stage.name.clone());
            !known
        });
    }
    let build = |plan: &Plan| {
        if spec { plan.by_data() } else { plan.by_name() }
    };
    let (first, again) = (build(&given), build(&given));
    lab.check(
        first.as_ref().err() == again.as_ref().err(),
        "the same wiring is refused in the same words",
        Breach::WrongStatus,
        || format!("{:?}", again.as_ref().err()),
    );
    let told = told(lab, first.as_ref().err());
    lab.check(
        told == plan.faults,
        "all that is wrong is told, and nothing else",
        Breach::WrongStatus,
        || {
            let missing: Vec<&Fault> = plan
                .faults
                .keys()
                .filter(|fault| !told.contains_key(fault))
                .collect();
            let extra: Vec<&Fault> = told
                .keys()
                .filter(|fault| !plan.faults.contains_key(fault))
                .collect();
            format!("missing {missing:?}, invented {extra:?}; by data: {spec}; {told:?}")
        },
    );
    if let Err(error) = &first {
        messages(lab, error, &plan.meant);
    }
    first.ok()
}

/// What the error tells, or a broken builder would.
fn told(lab: &Lab, error: Option<&BuildError>) -> BTreeMap<Fault, usize> {
    let mut faults: Vec<Fault> = error.map_or_else(Vec::new, |error| {
        error.problems().iter().map(fault).collect()
    });
    let chance = |every: u64| lab.witness.trial % every == every - 1;
    if lab.is_broken("first-only") {
        faults.truncate(1);
    }
    if lab.is_broken("swallow") && chance(1000) {
        faults.pop();
    }
    if lab.is_broken("wrong-code")
        && chance(1000)
        && let Some(first) = faults.first_mut()
    {
        first.0 = if first.0 == "SF0103" {
            "SF0104"
        } else {
            "SF0103"
        };
    }
    if lab.is_broken("invent") && chance(100) {
        faults.push(("SF0103", "good0".to_owned()));
    }
    let mut counted = BTreeMap::new();
    for fault in faults {
        *counted.entry(fault).or_default() += 1;
    }
    counted
}

/// Each problem is one line that can be read, begins with its code, and says what to do.
fn messages(lab: &Lab, error: &BuildError, meant: &[String]) {
    let whole = error.to_string();
    let lines = whole.lines().count();
    let count = error.problems().len();
    let wanted = if count == 1 { 1 } else { count + 1 };
    lab.check(
        lines == wanted,
        "one line for each problem",
        Breach::MessageQuality,
        || format!("{lines} lines for {count} problems: {whole}"),
    );
    for problem in error.problems() {
        let text = problem.to_string();
        let readable = !text.chars().any(char::is_control) && !text.contains('\u{202e}');
        let fits = text.starts_with(&format!("{}: ", problem.code())) && text.len() < 2000;
        lab.check(
            readable && fits,
            "a problem is one line of text",
            Breach::MessageQuality,
            || text.escape_debug().take(300).collect(),
        );
        let (_, subject) = fault(problem);
        let shown = subject.chars().all(|c| c.is_ascii_graphic());
        lab.check(
            !shown || text.contains(&subject),
            "a problem names what it is about",
            Breach::MessageQuality,
            || text.clone(),
        );
    }
    for name in meant {
        lab.check(
            whole.contains(&format!("did you mean `{name}`?")),
            "what was meant is suggested",
            Breach::MessageQuality,
            || format!("{name}: {whole}"),
        );
    }
}

/// Every kind of problem in one wiring from data.
fn at_once(lab: &mut Lab) {
    let mut rng = lab.seed().named("at once").rng();
    let mut plan = Plan::sound(&mut rng);
    plan.spoil_all(&mut rng);
    check(lab, &plan, true);
    let codes: std::collections::BTreeSet<&str> =
        plan.faults.keys().map(|(code, _)| *code).collect();
    lab.check(
        codes.len() == 9,
        "one wiring has all that can be wrong",
        Breach::WrongStatus,
        || format!("{codes:?}"),
    );
    lab.count_trials(1);
}

/// What can still be wrong where the compiler checks the wiring.
fn typed(lab: &mut Lab) {
    let work = || stage_fn(async |_cx: StageCx, (): ()| Ok::<_, Stop>(0_u32));
    let next = || stage_fn(async |_cx: StageCx, n: std::sync::Arc<u32>| Ok::<_, Stop>(*n));
    let mut other = Pipeline::builder::<()>("other");
    let foreign = other.stage("foreign", work()).root();
    let mut p = Pipeline::builder::<()>("typed");
    let twin = p.stage("twin", work()).root();
    p.stage("twin", next()).after(twin);
    p.stage("two words", next()).after(twin);
    p.stage("strange", next()).after(foreign);
    p.stage("hurry", next()).timeout(Duration::ZERO).after(twin);
    let built = p.output(foreign).build();
    let mut codes: Vec<&str> = built.as_ref().err().map_or_else(Vec::new, |error| {
        error
            .problems()
            .iter()
            .map(|problem| problem.code())
            .collect()
    });
    codes.sort_unstable();
    let wanted = ["SF0102", "SF0103", "SF0106", "SF0106", "SF0112"];
    lab.check(
        codes == wanted,
        "typed wirings tell all at once, too",
        Breach::WrongStatus,
        || format!("{codes:?}: {:?}", built.map(drop)),
    );
    lab.count_trials(1);
}

/// No stage at all, and no output that could be meant.
fn empty(lab: &mut Lab) {
    let empty = Plan::default();
    for (built, door) in [(empty.by_name(), "by name"), (empty.by_data(), "from data")] {
        let code = built.as_ref().err().map(BuildError::code);
        let alone = built
            .as_ref()
            .is_err_and(|error| error.problems().len() == 1);
        lab.check(
            code == Some("SF0101") && alone,
            "a pipeline without a stage is refused",
            Breach::WrongStatus,
            || format!("{door}: {:?}", built.as_ref().err()),
        );
    }
    let mut p = Pipeline::by_name("two ends");
    for name in ["left", "right"] {
        p.stage(name, plan::nothing()).root();
    }
    let built = p.build().map(drop);
    lab.check(
        built.as_ref().is_err_and(|error| error.code() == "SF0108"),
        "two stages that could be the output are too many",
        Breach::WrongStatus,
        || format!("{built:?}"),
    );
    lab.count_trials(3);
}
