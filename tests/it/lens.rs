//! What is made of records: the example journal, wide events behind a sink, children, operations, losses.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::context::{Operation, Usage};
use stageflow::events::{BoundedSink, EventRecord, Flushed};
use stageflow::interceptors::{Around, Next, async_trait};
use stageflow::prelude::*;
use stageflow_lens::{
    Arrival, EXAMPLE, FindingKind, Stories, WideEvents, WideLine, WideRun, WideStage, analyze,
    draw, read,
};
use stageflow_testkit::{RecordingSink, paused};

use crate::support::undisturbed;

/// Tries twice more, 50 and 100 milliseconds later.
struct Later;

#[async_trait]
impl Around for Later {
    fn name(&self) -> &str {
        "later"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for wait in [50, 100] {
            match &ending {
                Ending::Failed(error) if error.class() == ErrorClass::Transient => {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    ending = next.run(call).await;
                }
                _ => break,
            }
        }
        ending
    }
}

async fn ask(cx: StageCx, page: Arc<u64>) -> Result<u64, Stop> {
    let call = Operation::chat("small-model").provider("local");
    let pause = Duration::from_millis(20 + 10 * *page);
    cx.operation(call, async move |op| {
        tokio::time::sleep(pause).await;
        op.used(Usage::tokens(100 * (*page + 1), 40));
        match (*page, op.attempt().get()) {
            (13, _) => Err("the model does not answer"),
            _ => Ok(*page),
        }
    })
    .await
    .map_err(Stop::transient)
}

/// Loads a document, asks a model about each page, writes an answer, and notes how much it read. Page 13 is unlucky.
fn pipeline() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("answer");
    let first = p.input::<u64>();
    let load = stage_fn(async |cx: StageCx, first: Arc<u64>| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        cx.try_emit("docs.loaded", serde_json::json!({ "pages": 3 }))?;
        Ok::<_, Stop>((*first..*first + 3).map(Arc::new).collect::<Vec<_>>())
    });
    let load = p.stage("load", load).after(first);
    let ask = p
        .stage("ask", map(stage_fn(ask)))
        .kind(StageKind::Agent)
        .after(load);
    let count =
        stage_fn(async |_: StageCx, pages: Arc<Vec<Arc<u64>>>| Ok::<_, Stop>(pages.len() as u64));
    let count = p.stage("count", count).after(load);
    let write = stage_fn(
        async |_: StageCx, (answers, count): (Arc<Vec<Arc<u64>>>, Arc<u64>)| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, Stop>(answers.len() as u64 + *count)
        },
    );
    let write = p.stage("write", write).after((ask, count));
    p.output(write).build().unwrap()
}

fn written(sink: &RecordingSink) -> Vec<EventRecord> {
    let written =
        |recorded: &stageflow_testkit::Recorded| EventRecord::new(&recorded.run, &recorded.event);
    sink.all().iter().map(written).collect()
}

/// Two runs, the second of which meets page 13.
fn two_runs() -> Vec<EventRecord> {
    let sink = RecordingSink::new();
    let engine = undisturbed().events(sink.clone()).intercept(Later).build();
    let pipeline = pipeline();
    paused(async {
        for first in [0, 12] {
            engine.run(&pipeline, first, RunOptions::new()).await;
        }
    });
    written(&sink)
}

fn parsed(text: &str) -> Vec<EventRecord> {
    read::lines(text.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

fn stories(records: &[EventRecord]) -> Stories {
    Stories::of(records, NonZeroUsize::new(100).unwrap())
}

/// Set `STAGEFLOW_WRITE_EXAMPLE` to a path to have it written anew.
#[test]
fn the_example_is_what_an_engine_writes() {
    let mut written = two_runs();
    let first = written[0].run_id.clone();
    for record in &mut written {
        // A paused clock knows nothing of the wall's: the second run comes a second after the first.
        let start = if record.run_id == first { 0 } else { 1_000_000 };
        record.time_us = 1_767_225_600_000_000 + start + record.elapsed_ns / 1000;
    }
    if let Some(path) = std::env::var_os("STAGEFLOW_WRITE_EXAMPLE") {
        let lines = written
            .iter()
            .map(|record| serde_json::to_string(record).unwrap() + "\n");
        std::fs::write(path, lines.collect::<String>()).unwrap();
    }
    let shape = |records: &[EventRecord]| -> Vec<String> {
        let lines = records.iter().map(|record| {
            let outcome = record.data.get("outcome").map(ToString::to_string);
            let EventRecord {
                seq,
                kind,
                stage,
                part,
                attempt,
                elapsed_ns,
                ..
            } = record;
            format!("{seq} {kind} {stage:?} {part:?} {attempt:?} {elapsed_ns} {outcome:?}")
        });
        lines.collect()
    };
    assert_eq!(shape(&parsed(EXAMPLE)), shape(&written));
}

#[test]
fn operations_are_in_the_story_with_what_they_used() {
    let records = two_runs();
    let stories = stories(&records);
    let runs: Vec<_> = stories.iter().collect();
    let ask = runs[0].stage("ask").unwrap();
    assert_eq!(ask.operation_count(), 3);
    assert_eq!((ask.used.input_tokens, ask.used.output_tokens), (600, 120));
    let [first, ..] = &*ask.operations else {
        panic!("no operations")
    };
    assert_eq!(
        (&*first.kind, &*first.name, first.provider.as_deref()),
        ("chat", "small-model", Some("local"))
    );
    assert_eq!(
        first.ended.unwrap() - first.started.unwrap(),
        Duration::from_millis(20)
    );
    // The unlucky page was tried three times.
    let ask = runs[1].stage("ask").unwrap();
    assert_eq!(ask.operation_count(), 5);
    let unlucky = ask.parts.iter().find(|part| part.path == "[1]").unwrap();
    assert_eq!(
        (unlucky.attempts.len(), unlucky.outcome()),
        (3, Some(Outcome::Failed))
    );
    assert_eq!(
        unlucky.attempts[2].started.unwrap() - unlucky.attempts[1].ended.unwrap(),
        Duration::from_millis(100)
    );
}

#[test]
fn times_are_split_into_queue_run_and_retry() {
    struct Slow;

    #[async_trait]
    impl Around for Slow {
        fn name(&self) -> &str {
            "slow"
        }

        fn phase(&self) -> Phase {
            Phase::Admission
        }

        async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
            tokio::time::sleep(Duration::from_millis(7)).await;
            next.run(call).await
        }
    }

    let sink = RecordingSink::new();
    let engine = undisturbed()
        .events(sink.clone())
        .intercept(Slow)
        .intercept(Later)
        .build();
    let mut p = Pipeline::builder("retried");
    let n = p.input::<u64>();
    let a = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(Duration::from_millis(3)).await;
        match cx.attempt().get() {
            1 => Err(Stop::transient("not yet")),
            _ => Ok(*n),
        }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    paused(async { engine.run(&pipeline, 1, RunOptions::new()).await });
    let records = written(&sink);
    let stories = stories(&records);
    let run = stories.iter().next().unwrap();
    let wide = WideStage::of(run, &run.stages[0]);
    assert_eq!(
        (wide.queue_us, wide.retry_us, wide.run_us, wide.total_us),
        (7_000, 53_000, 3_000, 63_000)
    );
    assert_eq!((wide.attempts, &*wide.status), (2, "succeeded"));
    let run = WideRun::of(run);
    assert_eq!(
        (run.critical_stages, run.critical_run_us, run.total_us),
        (1, 3_000, 63_000)
    );
}

#[test]
fn retries_that_back_off_are_none_of_its_business_and_others_are() {
    assert!(analyze(&two_runs(), Arrival::InOrder).is_empty());

    struct Hasty;

    #[async_trait]
    impl Around for Hasty {
        fn name(&self) -> &str {
            "hasty"
        }

        fn phase(&self) -> Phase {
            Phase::Retry
        }

        async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
            let mut ending = next.run(call).await;
            for _ in 0..4 {
                ending = next.run(call).await;
            }
            ending
        }
    }

    let sink = RecordingSink::new();
    let engine = undisturbed().events(sink.clone()).intercept(Hasty).build();
    let mut p = Pipeline::builder("hasty");
    let n = p.input::<u64>();
    let a = stage_fn(async |_: StageCx, _: Arc<u64>| Err::<u64, _>(Stop::transient("away")));
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    paused(async { engine.run(&pipeline, 1, RunOptions::new()).await });
    let found = analyze(&written(&sink), Arrival::InOrder);
    assert_eq!(
        found.counts().collect::<Vec<_>>(),
        [(FindingKind::HotRetry, 1)]
    );
    let finding = found.iter().next().unwrap();
    assert_eq!(
        (
            finding.stage.as_deref(),
            finding.first_seq,
            finding.last_seq
        ),
        (Some("a"), 2, 6)
    );
}

/// Behind a bounded sink wide events come when a run has ended: first its stages, then itself.
#[tokio::test]
async fn wide_events_come_when_a_run_ends() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&lines);
    let wide = WideEvents::new(move |line: &WideLine| {
        taken.lock().unwrap().push(line.clone());
        Ok(())
    });
    let counts = wide.counts();
    let sink = BoundedSink::builder(wide).start();
    let engine = undisturbed().events(sink.clone()).build();
    let report = engine.run(&pipeline(), 0, RunOptions::new()).await;
    let flushed = sink.flush(Duration::from_secs(10)).await;
    assert!(matches!(flushed, Flushed::Done), "{flushed:?}");
    let lines = lines.lock().unwrap();
    let names: Vec<String> = lines
        .iter()
        .map(|line| match line {
            WideLine::Run(run) => format!("run {}", run.status),
            WideLine::Stage(stage) => format!("{} {}", stage.stage, stage.status),
            _ => String::new(),
        })
        .collect();
    assert_eq!(
        names,
        [
            "load succeeded",
            "ask succeeded",
            "count succeeded",
            "write succeeded",
            "run succeeded"
        ]
    );
    let Some(WideLine::Run(run)) = lines.last() else {
        panic!("the run is last")
    };
    assert_eq!(run.run_id, report.id().to_string());
    assert_eq!(
        (run.input_tokens, run.operations, run.notes, run.events_lost),
        (600, 3, 1, 0)
    );
    assert_eq!(
        (counts.runs(), counts.evicted(), counts.refused()),
        (1, 0, 0)
    );
}

#[test]
fn a_drawing_of_hostile_names_is_only_a_drawing() {
    let mut records = two_runs();
    let hostile = "<script>alert('&\"')</script>\u{202e}\u{7}";
    for record in &mut records {
        if record.stage.as_deref() == Some("ask") {
            record.stage = Some(hostile.to_owned());
            let text = record.data.get_mut("error");
            if let Some(text) = text {
                *text = serde_json::json!("]]></style><script>\n");
            }
        }
        if let Some(stages) = record.data.get_mut("stages") {
            stages[1]["name"] = serde_json::json!(hostile);
        }
    }
    let stories = stories(&records);
    for run in stories.iter() {
        for picture in [draw::dag(run), draw::gantt(run)] {
            assert!(!picture.contains("<script"), "{picture}");
            assert!(!picture.contains('\u{202e}') && !picture.contains('\u{7}'));
            assert!(picture.contains("&lt;script&gt;"), "{picture}");
            assert!(
                !picture.contains("http://www.w3.org/1999/xlink") && !picture.contains("url(http")
            );
        }
    }
}
