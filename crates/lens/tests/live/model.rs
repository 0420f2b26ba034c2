//! What it knows, whatever comes.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use stageflow_events::EventRecord;
use stageflow_lens::live::{Colours, Key, LiveModel, Screen, StageRow, report};
use stageflow_testkit::Property;

use crate::{looks, record, told};

fn any_record() -> impl Strategy<Value = EventRecord> {
    let kind = prop::sample::select(vec![
        "run.started",
        "run.ended",
        "stage.started",
        "stage.started",
        "stage.ended",
        "stage.ended",
        "stage.skipped",
        "stage.answered",
        "telemetry.dropped",
        "stream.chunk_dropped",
        "stream.queue_closed",
        "part.started",
        "a.note",
        "operation.started",
        "budget.warned",
    ]);
    let stage = prop::option::of((prop::sample::select(vec!["a", "b", "\u{1b}[2J"]), 0_u32..3));
    let data = prop_oneof![
        Just(Value::Null),
        Just(json!([1, "x"])),
        (prop::sample::select(vec!["succeeded", "failed", "denied", ""]), any::<u64>())
            .prop_map(|(outcome, count)| json!({ "outcome": outcome, "count": count, "reasons": { outcome: count },
                "error": "e\n\u{7}", "queue_size": count, "stages": [{ "name": outcome }, 3] })),
    ];
    (0_u8..6, kind, stage, any::<u32>(), data).prop_map(|(run, kind, stage, ms, data)| {
        record(&format!("run-{run}"), kind, stage, u64::from(ms), data)
    })
}

#[test]
fn whatever_comes_the_counts_add_up_and_it_can_be_drawn() {
    let cases = (
        vec(any_record(), 0..120),
        1_u16..100,
        1_u16..30,
        vec(0_u8..5, 0..8),
    );
    Property::new("a view of any records adds up")
        .cases(60)
        .holds_for(&cases, |(records, width, height, keys)| {
            let model = told(&records);
            let totals = model.totals();
            prop_assert_eq!(totals.records, records.len() as u64);
            prop_assert_eq!(
                totals.runs_started,
                totals.runs_under_way + totals.runs_ended + totals.runs_forgotten
            );
            let by_outcome = totals.succeeded
                + totals.failed
                + totals.cancelled
                + totals.timed_out
                + totals.other;
            prop_assert_eq!(totals.runs_ended, by_outcome);
            let of = |kind: &str| {
                let about_a_stage = records
                    .iter()
                    .filter(|record| record.kind == kind && record.stage.is_some());
                about_a_stage.count() as u64
            };
            let sum = |field: fn(&StageRow) -> u64| model.stages().iter().map(field).sum::<u64>();
            prop_assert_eq!(sum(|row| row.started), of("stage.started"));
            prop_assert_eq!(
                sum(|row| row.succeeded + row.failed + row.other + row.unmatched),
                of("stage.ended")
            );
            for row in model.stages() {
                prop_assert_eq!(
                    row.started,
                    row.in_flight + row.succeeded + row.failed + row.other + row.lost
                );
            }
            let open: usize = model.runs().map(|(_, _, _, open)| open).sum();
            prop_assert_eq!(sum(|row| row.in_flight), open as u64);
            let mut screen = Screen::new(Colours::Some);
            for key in keys {
                screen.press(
                    [Key::Next, Key::Previous, Key::Up, Key::Down, Key::Pause][usize::from(key)],
                );
                looks(&model, &mut screen, (width, height));
            }
            let text = report(&model);
            prop_assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{}",
                text
            );
            Ok(())
        });
}

#[test]
fn stages_and_runs_without_end_are_bounded() {
    let mut model = LiveModel::new();
    for n in 0..12_000 {
        let mut started = record(
            &format!("run-{n}"),
            "stage.started",
            Some(("s", 1)),
            n,
            Value::Null,
        );
        started.pipeline = format!("p-{}", n % 3_000);
        model.observe(&started);
    }
    let totals = model.totals();
    assert_eq!(
        (totals.runs_under_way, totals.runs_forgotten),
        (10_000, 2_000)
    );
    assert_eq!(model.stages().len(), 1_001);
    let last = &model.stages()[1_000];
    assert_eq!((last.stage.as_str(), last.started), ("(others)", 8_000));
}
