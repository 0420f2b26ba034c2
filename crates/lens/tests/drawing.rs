//! Drawings: always the same, also of very large runs, without anything from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroUsize;

use serde_json::json;
use stageflow_events::EventRecord;
use stageflow_lens::{EXAMPLE, RunStory, Stories, draw, read};

fn records() -> Vec<EventRecord> {
    read::lines(EXAMPLE.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap()
}

fn runs(records: &[EventRecord]) -> Vec<RunStory> {
    Stories::of(records, NonZeroUsize::new(10).unwrap())
        .iter()
        .cloned()
        .collect()
}

#[test]
fn the_run_that_failed_as_a_graph() {
    let runs = runs(&records());
    expect_test::expect_file!["drawings/failed-graph.svg"].assert_eq(&draw::dag(&runs[1]));
}

#[test]
fn the_run_that_failed_over_time() {
    let runs = runs(&records());
    expect_test::expect_file!["drawings/failed-gantt.svg"].assert_eq(&draw::gantt(&runs[1]));
}

#[test]
fn drawings_use_nothing_from_elsewhere() {
    for run in runs(&records()) {
        for picture in [draw::dag(&run), draw::gantt(&run)] {
            let links = picture.matches("http").count();
            assert_eq!(
                links,
                picture
                    .matches(r#"xmlns="http://www.w3.org/2000/svg""#)
                    .count()
            );
            assert!(picture.contains("prefers-color-scheme:dark"));
        }
    }
}

/// A run of ten thousand stages, one of which failed: records as an engine would write them.
fn large() -> RunStory {
    let mut records = records();
    records.truncate(4);
    let wires = (0..10_000).map(|stage: u32| {
        let after: Vec<u32> = stage.checked_sub(1).into_iter().collect();
        json!({ "name": format!("s{stage}"), "kind": "work", "role": "stage", "after": after })
    });
    records[0].data = json!({ "stages": wires.collect::<Vec<_>>() });
    let model = records[3].clone();
    records.truncate(1);
    for stage in 0..10_000_u64 {
        for kind in ["stage.started", "stage.ended"] {
            let mut record = model.clone();
            record.seq = records.len() as u64;
            record.kind = kind.to_owned();
            record.elapsed_ns = stage * 1000;
            record.stage = Some(format!("s{stage}"));
            let outcome = if stage == 7777 { "failed" } else { "succeeded" };
            record.data = json!({ "outcome": outcome });
            records.push(record);
        }
    }
    runs(&records).remove(0)
}

#[test]
fn a_large_run_can_still_be_read() {
    let run = large();
    for picture in [draw::dag(&run), draw::gantt(&run)] {
        assert!(picture.contains("s7777"), "what failed is drawn");
        assert!(picture.contains("and 9880 more stages"));
        assert!(picture.len() < 200_000, "{} bytes", picture.len());
    }
}

/// What no engine writes is drawn all the same: stages that wait for each other, for themselves, for none there is.
#[test]
fn records_may_say_anything() {
    let mut records = records();
    for record in &mut records {
        if let Some(stages) = record.data.get_mut("stages") {
            stages[0]["after"] = json!([3, 0, 999, u32::MAX]);
            stages[1]["after"] = json!([2]);
            stages[2]["after"] = json!([1]);
            stages[2]["role"] = json!("fallback");
        }
    }
    for run in runs(&records) {
        let path = run.critical_path();
        assert!(path.len() <= run.stages.len() + 1);
        assert!(draw::dag(&run).contains("load") && draw::gantt(&run).contains("load"));
    }
    // Every time is the end of time.
    for record in &mut records {
        record.elapsed_ns = u64::MAX;
    }
    for run in runs(&records) {
        assert!(!draw::gantt(&run).contains("NaN"));
    }
    assert!(!draw::gantt(&runs(&records[..1])[0]).contains("NaN"));
}
