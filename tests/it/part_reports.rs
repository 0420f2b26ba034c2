//! Parts of a stage: what is told of them, and how they end.

use std::sync::{Arc, Mutex};

use stageflow::context::{PartLimits, Step, StopKind};
use stageflow::events::EventRecord;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use crate::support::{Lab, PanicsOnDrop, alone, watched};

type Numbers = Vec<Arc<u64>>;

fn numbers(count: u64) -> Numbers {
    (0..count).map(Arc::new).collect()
}

/// A pipeline of one map, `a`.
fn over(stage: impl Stage<Input = Arc<u64>, Output = u64>) -> Pipeline<Numbers, Vec<Arc<u64>>> {
    let mut p = Pipeline::builder("over");
    let n = p.input::<Numbers>();
    let a = p.stage("a", map(stage)).after(n);
    p.output(a).build().unwrap()
}

#[test]
fn a_run_that_ends_early_takes_its_parts_with_it() {
    paused(async {
        for deadline in [false, true] {
            let lab = Lab::new();
            let pipeline = over(watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| {
                tokio::time::sleep(std::time::Duration::from_secs(*n)).await;
                Ok(*n)
            }));
            let mut options = RunOptions::new();
            if deadline {
                options = options.deadline(1500.millis());
            }
            let run = lab.engine.run(&pipeline, numbers(4), options);
            let handle = run.handle();
            let stop = async {
                tokio::time::sleep(1500.millis()).await;
                handle.cancel("enough");
            };
            let (report, ()) = futures_util::future::join(run, stop).await;
            let outcome = if deadline {
                Outcome::TimedOut
            } else {
                Outcome::Cancelled
            };
            assert_eq!(report.outcome(), outcome);
            assert_eq!(report.duration(), 1500.millis());
            let parts = report.stage("a").unwrap().parts();
            assert_eq!((parts.succeeded, parts.cancelled), (2, 2));
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_part_whose_future_panics_when_it_is_dropped_harms_nobody() {
    paused(async {
        let lab = Lab::new();
        let stage = watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| {
            if *n == 2 {
                return Err(Stop::fail("no"));
            }
            let _kept = PanicsOnDrop("dropped");
            std::future::pending::<()>().await;
            Ok(*n)
        });
        let pipeline = over(stage);
        let report = lab
            .engine
            .run(&pipeline, numbers(5), RunOptions::new())
            .await;
        assert_eq!(report.error().unwrap().path(), "a[2]");
        let parts = report.stage("a").unwrap().parts();
        assert_eq!((parts.failed, parts.cancelled), (1, parts.started - 1));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn notes_and_written_records_say_which_part_it_was() {
    paused(async {
        let lab = Lab::new();
        let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.emit("seen", serde_json::json!({ "n": *n })).await?;
            cx.on_cleanup("tidy", async || ());
            cx.record(&format!("seen.{n}"), *n)?;
            Ok(*n)
        });
        let pipeline = over(stage);
        let report = lab
            .engine
            .run(&pipeline, numbers(1), RunOptions::new())
            .await;
        assert_eq!(report.cleanups().len(), 1);
        assert_eq!(report.recorded().unwrap().len(), 1);
        let told = lab.sink.all();
        let records: Vec<_> = told
            .iter()
            .map(|recorded| EventRecord::new(&recorded.run, &recorded.event))
            .map(|record| {
                format!(
                    "{} {:?} {:?} {}",
                    record.kind, record.stage, record.part, record.data
                )
            })
            .collect();
        assert_eq!(
            records[1..6],
            [
                r#"stage.started Some("a") None null"#,
                r#"part.started Some("a") Some("[0]") null"#,
                r#"seen Some("a") Some("[0]") {"n":0}"#,
                r#"part.ended Some("a") Some("[0]") {"outcome":"succeeded"}"#,
                r#"stage.ended Some("a") None {"outcome":"succeeded"}"#,
            ]
        );
        let plain = EventRecord::new(&told[1].run, &told[1].event);
        assert!(!serde_json::to_string(&plain).unwrap().contains("part"));
    });
}

#[test]
fn after_the_run_no_part_starts() {
    paused(async {
        let lab = Lab::new();
        let kept: Arc<Mutex<Option<StageCx>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let stage = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
            *keep.lock().unwrap() = Some(cx);
            async move { Ok(*n) }
        });
        let pipeline = alone(stage, Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.is_success());
        let cx = kept.lock().unwrap().take().unwrap();
        let work = |_cx| async { Err::<(), _>(Stop::fail("it was started")) };
        let late = cx.call(Step::Round(1), PartLimits::default(), work).await;
        assert!(
            matches!(late.unwrap_err().kind(), StopKind::Interrupted(_)),
            "a part of a run that is over"
        );
        assert_eq!(report.stage("a").unwrap().parts().started, 0);
    });
}

#[test]
fn the_report_names_no_more_than_sixty_four_parts_and_counts_them_all() {
    paused(async {
        let lab = Lab::new();
        let stage = map(script::fail::<Arc<u64>, u64>("no")).skip_failed();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Numbers>();
        let a = p.stage("a", stage).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(200), RunOptions::new())
            .await;
        let stage = report.stage("a").unwrap();
        assert_eq!(stage.parts().failed, 200);
        assert_eq!(stage.parts_without_value().len(), 64);
        assert!(
            report
                .mermaid()
                .contains("200 items, 200 failed: [0], [1], [2], ..")
        );
    });
}
