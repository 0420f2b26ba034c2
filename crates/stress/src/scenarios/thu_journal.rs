//! A decision told again from its records.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::Outcome;
use stageflow::events::EventRecord;
use stageflow::executor::StageReport;
use stageflow::graph::{Plan, Role};
use stageflow::prelude::*;
use stageflow_lens::{Analyzer, Arrival, RunStory, StageStory, Stories};
use stageflow_testkit::RecordingSink;
use stageflow_testkit::program::{Program, Speed, Stopper};
use tokio::time::sleep;

use crate::{Breach, Control, Lab, LabError, Scenario, Seed, Theme};

const INPUT: u64 = 7;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("THU-JOURNAL", "a decision told again from its records")
        .proves(
            "the records of random programs alone, written down and read again, rebuild what ran, in which attempts, on what and \
             why, as the reports have it, and nothing in them fails to fit together",
        )
        .theme(Theme::Thu)
        .targets(["OBS-013"])
        .modes(["E4", "E9"])
        .expected(Duration::from_secs(3))
        .control(engine("lose-event", "one event in 1000 vanishes", "LoseEvent", 1000))
        .control(engine("repeat-event", "one event in 1000 comes twice", "RepeatEvent", 1000))
        .control(engine("swap-events", "once in 1000 two events change places", "SwapEvents", 1000))
        .control(engine("forget-end", "one end of an attempt in 500 is not told", "ForgetEnd", 500))
        .control(engine("forget-part-end", "one end of a round or an item in 100 is not told", "ForgetPartEnd", 100))
        .control(engine("confuse-runs", "one run in 100 carries the identity of the first", "ConfuseRuns", 100))
        .control(engine("start-early", "once in 20 a stage starts before its last dependency", "StartEarly", 20))
        .control(Control::own("forgets-edges", "a journal that leaves out what a stage waits for"))
        .control(Control::own("rounds-times", "a journal that keeps times in milliseconds"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let engine = lab
        .engine()
        .events(sink.clone())
        .blocking_threshold(Duration::MAX)
        .build();
    let (mut records, mut runs) = (0, 0);
    lab.trials(lab.scaled(1000), |lab, trial| {
        let nodes = trial.seed.child(0).rng().random_range(1..25);
        let program = Program::random(trial.seed.get(), nodes);
        let built = program.build(Speed::Clock).map_err(LabError::new)?;
        sink.clear();
        let report = lab.paused(stopped(
            &program,
            engine.run(&built.pipeline, INPUT, program.options()),
        ));
        let journal = journal(lab, &sink, trial.seed)?;
        let told = judge(lab, &report, built.pipeline.plan(), &journal)?;
        records += told.0;
        runs += told.1;
        Ok(())
    })?;
    lab.metric("records", "count", records as f64);
    lab.metric("runs", "count", runs as f64);
    Ok(())
}

/// What would stand in the journal: lines of text.
fn journal(lab: &Lab, sink: &RecordingSink, seed: Seed) -> Result<String, LabError> {
    let (forgets, rounds) = (
        lab.is_broken("forgets-edges"),
        lab.is_broken("rounds-times"),
    );
    let mut lines = String::new();
    for recorded in sink.all() {
        let mut record = EventRecord::new(&recorded.run, &recorded.event);
        if rounds {
            record.elapsed_ns = record.elapsed_ns / 10_000_000 * 10_000_000;
        }
        if forgets
            && seed.get().is_multiple_of(10)
            && let Some(stages) = record.data.get_mut("stages")
        {
            let last = stages.as_array_mut().and_then(|stages| stages.last_mut());
            last.and_then(|stage| stage.as_object_mut())
                .map(|stage| stage.remove("after"));
        }
        lines.push_str(&serde_json::to_string(&record).map_err(LabError::new)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// Reads the journal, and holds it against the report. How many records there were, and of how many runs.
fn judge(
    lab: &Lab,
    report: &RunReport<u64>,
    plan: &Plan,
    journal: &str,
) -> Result<(u64, u64), LabError> {
    let most = NonZeroUsize::MIN.saturating_add(999);
    // Programs may try something three times at once, and that is how they are meant.
    let patience = NonZeroU32::MIN.saturating_add(3);
    let mut analyzer = Analyzer::new(Arrival::InOrder).retries(patience, Duration::from_secs(1));
    let mut stories = Stories::new(most);
    for record in stageflow_lens::read::lines(journal.as_bytes()) {
        let record = record.map_err(LabError::new)?;
        analyzer.add(&record);
        stories.add(&record);
    }
    let found = analyzer.finish();
    lab.check(
        found.is_empty(),
        "what an engine writes down fits together",
        Breach::BrokenOrder,
        || format!("{found:#?}\n{journal}"),
    );
    let said = match stories.get(&report.id().to_string()) {
        None => Some("the run is not in its journal".to_owned()),
        Some(story) => difference(story, report).or_else(|| other_edges(story, plan)),
    };
    lab.check(
        said.is_none(),
        "the records alone tell what the report tells",
        Breach::Lost,
        || format!("{}\n{journal}", said.unwrap_or_default()),
    );
    Ok((found.records(), found.runs()))
}

/// The first thing that the story tells otherwise than the report.
fn difference(story: &RunStory, report: &RunReport<u64>) -> Option<String> {
    let reason = story.ended.as_ref().and_then(|ended| ended.reason.clone());
    let (told, known) = (
        (story.outcome(), reason),
        (
            Some(report.outcome()),
            report.cancel_reason().map(ToString::to_string),
        ),
    );
    if told != known {
        return Some(format!("the run: {told:?}, not {known:?}"));
    }
    if story.duration() != report.duration() || story.lost() > 0 {
        return Some(format!(
            "the run took {:?}, not {:?}",
            story.duration(),
            report.duration()
        ));
    }
    let path: Vec<&str> = story
        .critical_path()
        .iter()
        .map(|stage| &*stage.name)
        .collect();
    let known: Vec<&str> = report
        .critical_path()
        .iter()
        .map(|name| name.as_str())
        .collect();
    if path != known {
        return Some(format!("the critical path: {path:?}, not {known:?}"));
    }
    if story.stages.len() != report.stages().len() {
        return Some(format!(
            "{} stages, not {}",
            story.stages.len(),
            report.stages().len()
        ));
    }
    let pairs = story.stages.iter().zip(report.stages());
    pairs.into_iter().find_map(|(told, known)| {
        let (told, known) = (of_story(told), of_report(&known));
        (told != known).then(|| format!("{told}, not {known}"))
    })
}

/// A stage that waits for others in the journal than in the pipeline.
fn other_edges(story: &RunStory, plan: &Plan) -> Option<String> {
    let differs = |(at, stage): (usize, &StageStory)| {
        let slots = plan.upstream(at).iter().map(|slot| *slot as usize);
        let mut after: Vec<usize> = slots.filter(|slot| *slot != plan.input_slot()).collect();
        if let Role::Fallback { of } = plan.role(at) {
            after.push(of as usize);
        }
        after.sort_unstable();
        after.dedup();
        let differs = after != stage.after;
        differs.then(|| format!("{} waits for {:?}, not {after:?}", stage.name, stage.after))
    };
    story.stages.iter().enumerate().find_map(differs)
}

/// What became of a stage, in one line.
fn of_story(stage: &StageStory) -> String {
    let code = stage.ending().and_then(|ending| ending.code.as_deref());
    let outcome = stage.outcome().unwrap_or(Outcome::Cancelled);
    let parts = stage.part_tally();
    let times = (stage.attempt_count() > 0).then(|| (stage.started(), stage.ended()));
    let parts = (
        parts.started,
        parts.succeeded,
        parts.failed + parts.timed_out + parts.denied,
        parts.skipped,
    );
    line(
        &stage.name,
        &stage.role,
        outcome,
        code,
        stage.attempt_count(),
        &(times, parts),
    )
}

fn of_report(stage: &StageReport<'_>) -> String {
    let code = stage.error().map(StageError::code);
    let parts = stage.parts();
    let times = (stage.attempts() > 0).then(|| (stage.started(), stage.ended()));
    let parts = (
        parts.started,
        parts.succeeded,
        parts.failed + parts.timed_out + parts.denied,
        parts.skipped,
    );
    let (name, role) = (stage.name().as_str(), stage.role().as_str());
    line(
        name,
        role,
        stage.outcome(),
        code,
        stage.attempts().into(),
        &(times, parts),
    )
}

fn line(
    name: &str,
    role: &str,
    outcome: Outcome,
    code: Option<&str>,
    attempts: u64,
    rest: &dyn std::fmt::Debug,
) -> String {
    format!("{name} ({role}): {outcome} {code:?} in {attempts} attempts, {rest:?}")
}

/// Lets somebody with the run's handle stop it, if the program has somebody.
async fn stopped(program: &Program, run: stageflow::executor::Run<'_, u64>) -> RunReport<u64> {
    let Some((after, Stopper::Handle)) = program.stopped else {
        return run.await;
    };
    let handle = run.handle();
    let stopper = async {
        sleep(Duration::from_millis(after.into())).await;
        handle.cancel("somebody wants it");
    };
    tokio::join!(run, stopper).0
}
