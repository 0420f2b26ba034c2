//! Stories, findings and drawings of random programs: made of records alone, held against reports and plans.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use stageflow::events::EventRecord;
use stageflow::prelude::*;
use stageflow_lens::{Analyzer, Arrival, Findings, StageStory, Stories, WideRun, draw};
use stageflow_testkit::program::{Layered, Program, Speed, Stopper};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Property, RecordingSink, paused};

use super::patience::Patience;

/// A millisecond apart.
const PATIENT: Patience = Patience::After(Duration::from_millis(1));

const INPUT: u64 = 7;

/// A finished run of a program, and all that was written down of it and its children.
pub(super) struct Ran {
    pipeline: Pipeline<u64, u64>,
    pub(super) report: RunReport<u64>,
    pub(super) records: Vec<EventRecord>,
}

pub(super) async fn run(program: &Program, speed: Speed) -> Ran {
    let sink = RecordingSink::new();
    let engine = Engine::builder()
        .events(sink.clone())
        .blocking_threshold(Duration::MAX);
    let engine = match program.layered {
        Layered::Retried => engine.intercept(PATIENT).build(),
        _ => engine.build(),
    };
    let built = program.build(speed).unwrap();
    let run = engine.run(&built.pipeline, INPUT, program.options());
    let report = match program.stopped {
        Some((after, Stopper::Handle)) => {
            let handle = run.handle();
            let stopper = async {
                match speed {
                    Speed::Clock => tokio::time::sleep(Duration::from_millis(after.into())).await,
                    _ => {
                        for _ in 0..after {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                handle.cancel("the test wants it");
            };
            futures_util::future::join(run, stopper).await.0
        }
        _ => run.await,
    };
    engine.settled().await;
    let written =
        |recorded: &stageflow_testkit::Recorded| EventRecord::new(&recorded.run, &recorded.event);
    Ran {
        pipeline: built.pipeline,
        report,
        records: sink.all().iter().map(written).collect(),
    }
}

pub(super) fn programs() -> impl Strategy<Value = Program> {
    (any::<u64>(), 1_usize..30).prop_map(|(seed, nodes)| Program::random(seed, nodes))
}

/// The records in any other order.
fn shuffled(mut records: Vec<EventRecord>, seed: u64) -> Vec<EventRecord> {
    let mut state = seed | 1;
    for at in (1..records.len()).rev() {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        records.swap(at, (state >> 33) as usize % (at + 1));
    }
    records
}

fn stories(records: &[EventRecord]) -> Stories {
    Stories::of(records, NonZeroUsize::new(1000).unwrap())
}

/// What in random programs may look like impatience is none: their layer says that it tries three times at once.
pub(super) fn analyzed(records: &[EventRecord], arrival: Arrival) -> Findings {
    let mut analyzer =
        Analyzer::new(arrival).retries(NonZeroU32::new(4).unwrap(), Duration::from_secs(1));
    for record in records {
        analyzer.add(record);
    }
    analyzer.finish()
}

fn equals_report(
    story: &StageStory,
    stage: &stageflow::executor::StageReport<'_>,
    is_layered: bool,
) -> TestCaseResult {
    let name = story.name.as_str();
    let outcome = story.outcome().unwrap_or(Outcome::Cancelled);
    prop_assert_eq!(outcome, stage.outcome(), "how {} ended", name);
    prop_assert_eq!(
        story.attempt_count(),
        u64::from(stage.attempts()),
        "attempts of {}",
        name
    );
    prop_assert_eq!(&story.role, stage.role().as_str(), "role of {}", name);
    prop_assert_eq!(&story.kind, stage.kind().as_str(), "kind of {}", name);
    if stage.attempts() > 0 {
        if is_layered {
            // Layers begin before the first attempt, and end after the last.
            prop_assert!(story.ended() <= stage.ended(), "when {} ended", name);
            prop_assert!(story.started() >= stage.started(), "when {} started", name);
        } else {
            prop_assert_eq!(story.ended(), stage.ended(), "when {} ended", name);
            prop_assert_eq!(story.started(), stage.started(), "when {} started", name);
        }
    }
    let (told, counted) = (story.part_tally(), stage.parts());
    prop_assert_eq!(
        (told.started, told.succeeded),
        (counted.started, counted.succeeded),
        "parts of {}",
        name
    );
    // A part that is stopped while it waits for its next attempt is counted as stopped, and nothing is told of it.
    let failed = (
        told.failed + told.timed_out,
        counted.failed + counted.timed_out,
    );
    prop_assert!(
        failed.0 == failed.1 || (is_layered && failed.0 > failed.1),
        "parts of {}",
        name
    );
    prop_assert_eq!(
        (told.denied, told.skipped),
        (counted.denied, counted.skipped),
        "parts of {}",
        name
    );
    let code = story.ending().and_then(|ending| ending.code.as_deref());
    prop_assert_eq!(
        code,
        stage.error().map(StageError::code),
        "the error of {}",
        name
    );
    Ok(())
}

/// The stories of records equal the report.
fn story_equals_report(ran: &Ran, program: &Program) -> TestCaseResult {
    let stories = stories(&ran.records);
    let Some(story) = stories.get(&ran.report.id().to_string()) else {
        return Err(TestCaseError::fail("the run has no story"));
    };
    prop_assert_eq!(story.outcome(), Some(ran.report.outcome()));
    prop_assert_eq!(story.duration(), ran.report.duration());
    prop_assert_eq!(story.lost(), 0);
    prop_assert_eq!(story.stages.len(), ran.report.stages().len());
    let is_layered = program.layered == Layered::Retried;
    for (story, stage) in story.stages.iter().zip(ran.report.stages()) {
        prop_assert_eq!(&*story.name, stage.name().as_str());
        equals_report(story, &stage, is_layered)?;
    }
    let path: Vec<&str> = story
        .critical_path()
        .iter()
        .map(|stage| &*stage.name)
        .collect();
    if !is_layered {
        let wanted: Vec<&str> = ran
            .report
            .critical_path()
            .iter()
            .map(|name| name.as_str())
            .collect();
        prop_assert_eq!(path, wanted, "the critical path");
    }
    Ok(())
}

#[test]
fn the_story_of_a_run_equals_its_report() {
    Property::new("the story of a run equals its report")
        .cases(400)
        .holds_for(&programs(), |program| {
            story_equals_report(&paused(run(&program, Speed::Clock)), &program)
        });
}

#[test]
fn the_order_of_records_makes_no_difference() {
    let cases = (programs(), any::<u64>());
    Property::new("stories do not depend on the order of records")
        .cases(150)
        .holds_for(&cases, |(program, seed)| {
            let mut ran = paused(run(&program, Speed::Clock));
            ran.records = shuffled(ran.records, seed);
            story_equals_report(&ran, &program)
        });
}

#[test]
fn the_graph_in_the_records_is_the_one_that_ran() {
    Property::new("the graph in the records is the plan")
        .cases(200)
        .holds_for(&programs(), |program| {
            let ran = paused(run(&program, Speed::Clock));
            let stories = stories(&ran.records);
            let story = stories.get(&ran.report.id().to_string()).unwrap();
            let plan = ran.pipeline.plan();
            prop_assert_eq!(story.stages.len(), plan.len());
            for (at, stage) in story.stages.iter().enumerate() {
                prop_assert_eq!(&*stage.name, plan.names()[at].as_str());
                prop_assert_eq!(&*stage.role, plan.role(at).as_str());
                let slots = plan.upstream(at).iter().map(|slot| *slot as usize);
                let mut edges: Vec<usize> =
                    slots.filter(|slot| *slot != plan.input_slot()).collect();
                if let stageflow::graph::Role::Fallback { of } = plan.role(at) {
                    edges.push(of as usize);
                }
                edges.sort_unstable();
                edges.dedup();
                prop_assert_eq!(&stage.after, &edges, "what {} waits for", &stage.name);
            }
            let (graph, chart) = (draw::dag(story), draw::gantt(story));
            for stage in &story.stages {
                prop_assert!(
                    graph.contains(&*stage.name) && chart.contains(&*stage.name),
                    "{} is drawn",
                    stage.name
                );
            }
            Ok(())
        });
}

#[test]
fn sound_journals_have_no_findings() {
    let cases = (programs(), any::<u64>());
    Property::new("sound journals have no findings")
        .cases(300)
        .holds_for(&cases, |(program, seed)| {
            let ran = paused(run(&program, Speed::Clock));
            let found = analyzed(&ran.records, Arrival::InOrder);
            prop_assert!(found.is_empty(), "{:#?}", found);
            let found = analyzed(&shuffled(ran.records, seed), Arrival::AnyOrder);
            prop_assert!(found.is_empty(), "in any order: {:#?}", found);
            Ok(())
        });
}

#[test]
fn on_several_threads_stories_are_the_same() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    Property::new("stories equal reports on several threads")
        .cases(100)
        .holds_for(&programs(), |program| {
            let ran = runtime.block_on(run(&program, Speed::Yields));
            story_equals_report(&ran, &program)?;
            let found = analyzed(&ran.records, Arrival::InOrder);
            prop_assert!(found.is_empty(), "{:#?}", found);
            Ok(())
        });
}

#[test]
fn the_times_of_wide_events_add_up() {
    Property::new("queue, run and retry add up to the total")
        .cases(300)
        .holds_for(&programs(), |program| {
            let ran = paused(run(&program, Speed::Clock));
            let stories = stories(&ran.records);
            for story in stories.iter() {
                let wide = WideRun::of(story);
                let stages: Vec<_> = WideRun::stages_in(story).collect();
                for stage in &stages {
                    prop_assert_eq!(
                        stage.queue_us + stage.run_us + stage.retry_us,
                        stage.total_us,
                        "{:?}",
                        stage
                    );
                    prop_assert!(stage.total_us <= wide.total_us, "{:?}", stage);
                }
                let by_outcome = wide.stages_succeeded + wide.stages_failed + wide.stages_timed_out;
                let rest = wide.stages_denied + wide.stages_skipped + wide.stages_cancelled;
                prop_assert_eq!(by_outcome + rest, wide.stages);
            }
            let story = stories.get(&ran.report.id().to_string()).unwrap();
            for (stage, wide) in ran.report.stages().zip(WideRun::stages_in(story)) {
                prop_assert_eq!(&*wide.status, stage.outcome().as_str());
                if stage.attempts() == 1 && program.layered == Layered::Bare {
                    prop_assert_eq!(
                        u128::from(wide.run_us),
                        stage.duration().as_micros(),
                        "{}",
                        wide.stage
                    );
                    prop_assert_eq!(wide.retry_us, 0);
                }
            }
            Ok(())
        });
}
