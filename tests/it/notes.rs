//! What stages say for themselves.

use std::sync::{Arc, Mutex};

use futures_util::poll;
use serde_json::json;
use stageflow::context::EmitErrorKind;
use stageflow::events::{EventRecord, WIRE_VERSION};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, paused};
use tokio::sync::oneshot;

use crate::support::{Lab, PLACEMENTS, placed, watched};

/// What a stage does with what it was told about its notes.
type Tried = Vec<Option<EmitErrorKind>>;

/// Runs one stage with this body, and gives what it found out.
async fn alone<F, Fut>(lab: &Lab, placement: Placement, body: F) -> RunReport<Tried>
where
    F: Fn(StageCx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Tried> + Send + 'static,
{
    let mut p = Pipeline::builder("alone");
    let n = p.input::<u64>();
    let stage = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
        let tried = body(cx);
        async move { Ok(tried.await) }
    });
    let a = placed(p.stage("a", stage), placement).after(n);
    let pipeline = p.output(a).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await
}

/// Says so much that there is no room left.
fn fill_up(cx: &StageCx) {
    let refused = (0..100_000).any(|_| cx.try_emit("filler", json!(1)).is_err());
    assert!(refused, "there is a bound");
}

fn refusal(result: Result<(), stageflow::context::EmitError>) -> Option<EmitErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn notes_are_told_between_the_start_and_the_end_of_their_attempt() {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        alone(&lab, placement, async |cx: StageCx| {
            let first = refusal(cx.try_emit("docs.loaded", json!({ "pages": 3 })));
            tokio::task::yield_now().await;
            vec![first, refusal(cx.emit("docs.indexed", json!(null)).await)]
        })
        .await;
        let said = lab.assert_nothing_left().await;
        let expected = [
            "run started",
            "a started 1",
            "a says docs.loaded {\"pages\":3}",
            "a says docs.indexed null",
            "a succeeded 1",
            "run succeeded",
        ];
        assert_eq!(said, expected, "{placement:?}");
    }
}

#[tokio::test]
async fn a_stage_cannot_forge_what_the_engine_says() {
    let lab = Lab::new();
    let names = [
        "run",
        "run.ended",
        "stage.started",
        "stage",
        "cleanup.ended",
        "telemetry.dropped",
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "A",
        "a b",
        "1a",
        "a-b",
        "a.B",
        "a\nb",
        "é",
        "run\u{0}",
        "ru\u{202e}n",
    ];
    let report = alone(&lab, Placement::Inline, move |cx: StageCx| async move {
        let long = format!("a{}", "b".repeat(128));
        names
            .iter()
            .copied()
            .chain([long.as_str()])
            .map(|name| refusal(cx.try_emit(name, json!(1))))
            .collect()
    })
    .await;
    let tried = report.output().unwrap();
    assert!(
        tried[..6]
            .iter()
            .all(|refused| *refused == Some(EmitErrorKind::ReservedName)),
        "{tried:?}"
    );
    assert!(
        tried[6..]
            .iter()
            .all(|refused| *refused == Some(EmitErrorKind::BadName)),
        "{tried:?}"
    );
    assert_eq!(
        report.events().refused_notes,
        0,
        "what has no name that could be told is the stage's own mistake"
    );
    let said = lab.assert_nothing_left().await;
    assert_eq!(
        said,
        [
            "run started",
            "a started 1",
            "a succeeded 1",
            "run succeeded"
        ]
    );
}

#[tokio::test]
async fn names_that_only_begin_like_the_engines_are_allowed() {
    let lab = Lab::new();
    let report = alone(&lab, Placement::Inline, async |cx: StageCx| {
        [
            "runner.up",
            "stages",
            "cleanup_done",
            "x.run.ended",
            "a1.b_2",
        ]
        .map(|name| refusal(cx.try_emit(name, json!(1))))
        .into()
    })
    .await;
    assert_eq!(report.output().unwrap(), &vec![None; 5]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_payload_that_looks_like_an_envelope_stays_a_payload() {
    let lab = Lab::new();
    alone(&lab, Placement::Inline, async |cx: StageCx| {
        let forged = json!({ "run_id": "run_0", "seq": 0, "stage": "b", "type": "run.ended", "org_id": "org_0", "version": 9 });
        vec![refusal(cx.try_emit("docs.loaded", forged))]
    })
    .await;
    let all = lab.sink.all();
    let note = all
        .iter()
        .find(|recorded| recorded.name() == "docs.loaded")
        .unwrap();
    let record = EventRecord::new(&note.run, &note.event);
    assert_eq!(
        (
            record.version,
            record.kind.as_str(),
            record.stage.as_deref()
        ),
        (WIRE_VERSION, "docs.loaded", Some("a"))
    );
    assert_eq!(
        (record.seq, record.org_id, record.run_id),
        (2, None, note.run_id().to_string())
    );
    assert_eq!(record.data["type"], "run.ended");
}

#[tokio::test]
async fn a_run_has_room_for_so_many_notes_at_a_time_and_counts_the_rest() {
    const ROOM: usize = 1024;
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::new();
        let report = alone(&lab, placement, async |cx: StageCx| {
            (0..ROOM + 10)
                .map(|i| refusal(cx.try_emit("row", json!(i))))
                .collect()
        })
        .await;
        let tried = report.output().unwrap();
        assert!(tried[..ROOM].iter().all(Option::is_none));
        assert!(
            tried[ROOM..]
                .iter()
                .all(|refused| *refused == Some(EmitErrorKind::Full)),
            "{placement:?}"
        );
        assert_eq!(report.events().refused_notes, 10, "dropped, but counted");
        assert_eq!(report.events().offered, ROOM as u64 + 4);
        lab.assert_nothing_left().await;
    }
}

#[test]
fn emit_waits_for_room_and_loses_nothing() {
    const MANY: usize = 5_000;
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for placement in PLACEMENTS {
                let lab = Lab::new();
                let report = alone(&lab, placement, async |cx: StageCx| {
                    let mut tried = Vec::new();
                    for i in 0..MANY {
                        tried.push(refusal(cx.emit("row", json!(i)).await));
                    }
                    tried
                })
                .await;
                assert!(
                    report.output().unwrap().iter().all(Option::is_none),
                    "{flavour} {placement:?}"
                );
                let said = lab.assert_nothing_left().await;
                let rows: Vec<_> = said
                    .iter()
                    .filter_map(|line| line.strip_prefix("a says row "))
                    .collect();
                assert_eq!(
                    rows,
                    (0..MANY).map(|i| i.to_string()).collect::<Vec<_>>(),
                    "{flavour} {placement:?}"
                );
                assert_eq!(
                    report.events().refused_notes,
                    0,
                    "{flavour} {placement:?}: nothing was refused for good"
                );
            }
        });
    }
}

#[tokio::test]
async fn a_note_that_waits_for_room_and_is_dropped_was_not_emitted() {
    let lab = Lab::new();
    let report = alone(&lab, Placement::Inline, async |cx: StageCx| {
        fill_up(&cx);
        {
            let mut waiting = std::pin::pin!(cx.emit("dropped", json!(1)));
            assert!(poll!(&mut waiting).is_pending());
        }
        vec![refusal(cx.emit("kept", json!(1)).await)]
    })
    .await;
    assert_eq!(report.output().unwrap(), &[None]);
    let said = lab.assert_nothing_left().await;
    assert!(
        said.contains(&"a says kept 1".to_owned())
            && !said.contains(&"a says dropped 1".to_owned())
    );
}

#[tokio::test]
async fn after_the_end_of_its_run_nobody_hears_a_stage() {
    let lab = Lab::new();
    let (keep, kept) = oneshot::channel();
    let keep = Mutex::new(Some(keep));
    alone(&lab, Placement::Inline, move |cx: StageCx| {
        keep.lock().unwrap().take().unwrap().send(cx).unwrap();
        async { Vec::new() }
    })
    .await;
    let cx: StageCx = kept.await.unwrap();
    assert_eq!(
        refusal(cx.try_emit("too.late", json!(1))),
        Some(EmitErrorKind::Closed)
    );
    assert_eq!(
        refusal(cx.emit("too.late", json!(1)).await),
        Some(EmitErrorKind::Closed),
        "and does not wait for ever"
    );
    assert_eq!(lab.assert_nothing_left().await.len(), 4);
}

#[test]
fn one_who_waits_for_room_is_told_when_the_run_ends() {
    paused(async {
        let lab = Lab::new();
        let (keep, kept) = oneshot::channel();
        let keep = Mutex::new(Some(keep));
        let gate = Gate::new();
        let wait = gate.clone();
        let run = alone(&lab, Placement::Inline, move |cx: StageCx| {
            keep.lock()
                .unwrap()
                .take()
                .unwrap()
                .send(cx.clone())
                .unwrap();
            let wait = wait.clone();
            async move {
                wait.passed().await;
                // Full until the run hears it, which is at the stage's end.
                fill_up(&cx);
                Vec::new()
            }
        });
        let outside = async {
            let cx: StageCx = kept.await.unwrap();
            gate.open();
            let mut kinds = Vec::new();
            loop {
                let kind = refusal(cx.emit("outside", json!(1)).await);
                kinds.push(kind);
                if kind.is_some() {
                    return kinds;
                }
                tokio::task::yield_now().await;
            }
        };
        let (_, kinds) = tokio::join!(run, outside);
        assert_eq!(kinds.last(), Some(&Some(EmitErrorKind::Closed)));
    });
}
