//! What a run tells while it goes on.

use std::sync::{Arc, Mutex};

use expect_test::expect;
use futures_util::poll;
use serde_json::{Value, json};
use stageflow::context::{
    EmitErrorKind, FixedClock, InteractionId, OrgId, RequestId, RunId, SeededIds, SessionId, UserId,
};
use stageflow::events::{Batch, EventRecord, Receipt};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, script};
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
        "run", "run.ended", "stage.started", "stage", "cleanup.ended", "telemetry.dropped", "", ".", "a.", ".a", "a..b", "A", "a b",
        "1a", "a-b", "a.B", "a\nb", "é", "run\u{0}", "ru\u{202e}n",
    ];
    let report = alone(&lab, Placement::Inline, move |cx: StageCx| async move {
        let long = format!("a{}", "b".repeat(128));
        names.iter().copied().chain([long.as_str()]).map(|name| refusal(cx.try_emit(name, json!(1)))).collect()
    })
    .await;
    let tried = report.output().unwrap();
    assert!(tried[..6].iter().all(|refused| *refused == Some(EmitErrorKind::ReservedName)), "{tried:?}");
    assert!(tried[6..].iter().all(|refused| *refused == Some(EmitErrorKind::BadName)), "{tried:?}");
    assert_eq!(report.events().refused_notes, 0, "what has no name that could be told is the stage's own mistake");
    let said = lab.assert_nothing_left().await;
    assert_eq!(said, ["run started", "a started 1", "a succeeded 1", "run succeeded"]);
}

#[tokio::test]
async fn names_that_only_begin_like_the_engines_are_allowed() {
    let lab = Lab::new();
    let report = alone(&lab, Placement::Inline, async |cx: StageCx| {
        ["runner.up", "stages", "cleanup_done", "x.run.ended", "a1.b_2"].map(|name| refusal(cx.try_emit(name, json!(1)))).into()
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
    let note = all.iter().find(|recorded| recorded.name() == "docs.loaded").unwrap();
    let record = EventRecord::new(&note.run, &note.event);
    assert_eq!((record.version, record.kind.as_str(), record.stage.as_deref()), (1, "docs.loaded", Some("a")));
    assert_eq!((record.seq, record.org_id, record.run_id), (2, None, note.run_id().to_string()));
    assert_eq!(record.data["type"], "run.ended");
}

#[tokio::test]
async fn a_run_has_room_for_so_many_notes_at_a_time_and_counts_the_rest() {
    const ROOM: usize = 1024;
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::new();
        let report = alone(&lab, placement, async |cx: StageCx| {
            (0..ROOM + 10).map(|i| refusal(cx.try_emit("row", json!(i)))).collect()
        })
        .await;
        let tried = report.output().unwrap();
        assert!(tried[..ROOM].iter().all(Option::is_none));
        assert!(tried[ROOM..].iter().all(|refused| *refused == Some(EmitErrorKind::Full)), "{placement:?}");
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
                assert!(report.output().unwrap().iter().all(Option::is_none), "{flavour} {placement:?}");
                let said = lab.assert_nothing_left().await;
                let rows: Vec<_> = said.iter().filter_map(|line| line.strip_prefix("a says row ")).collect();
                assert_eq!(rows, (0..MANY).map(|i| i.to_string()).collect::<Vec<_>>(), "{flavour} {placement:?}");
                assert_eq!(report.events().refused_notes, 0, "{flavour} {placement:?}: nothing was refused for good");
            }
        });
    }
}

#[tokio::test]
async fn a_note_that_waits_for_room_and_is_dropped_was_not_emitted() {
    let lab = Lab::new();
    let report = alone(&lab, Placement::Inline, async |cx: StageCx| {
        while cx.try_emit("filler", json!(1)).is_ok() {}
        {
            let mut waiting = std::pin::pin!(cx.emit("dropped", json!(1)));
            assert!(poll!(&mut waiting).is_pending());
        }
        vec![refusal(cx.emit("kept", json!(1)).await)]
    })
    .await;
    assert_eq!(report.output().unwrap(), &[None]);
    let said = lab.assert_nothing_left().await;
    assert!(said.contains(&"a says kept 1".to_owned()) && !said.contains(&"a says dropped 1".to_owned()));
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
    assert_eq!(refusal(cx.try_emit("too.late", json!(1))), Some(EmitErrorKind::Closed));
    assert_eq!(refusal(cx.emit("too.late", json!(1)).await), Some(EmitErrorKind::Closed), "and does not wait for ever");
    assert_eq!(lab.assert_nothing_left().await.len(), 4);
}

#[tokio::test]
async fn one_who_waits_for_room_is_told_when_the_run_ends() {
    let lab = Lab::new();
    let (keep, kept) = oneshot::channel();
    let keep = Mutex::new(Some(keep));
    let gate = Gate::new();
    let wait = gate.clone();
    let run = alone(&lab, Placement::Inline, move |cx: StageCx| {
        keep.lock().unwrap().take().unwrap().send(cx.clone()).unwrap();
        let wait = wait.clone();
        async move {
            wait.passed().await;
            // Full until the run hears it, which is at the stage's end.
            while cx.try_emit("filler", json!(1)).is_ok() {}
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
}

/// Keeps batches as they come.
#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<Batch>>>);

impl EventSink for Batches {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        self.0.lock().unwrap().push(batch);
        Receipt::new(count, 0)
    }
}

#[tokio::test]
async fn events_come_in_batches_that_are_in_order_and_share_their_header() {
    let batches = Batches::default();
    let engine = Engine::builder().events(batches.clone()).build();
    let mut p = Pipeline::builder("long");
    let mut at = p.input::<u64>();
    for i in 0..200 {
        at = p.stage(format!("s{i}"), stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1))).after(at);
    }
    let pipeline = p.output(at).build().unwrap();
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    let batches = batches.0.lock().unwrap();
    assert!(batches.len() > 1 && batches.len() < 30, "{} batches of 402 events", batches.len());
    let numbers: Vec<_> = batches.iter().flat_map(|batch| batch.events.iter().map(|event| event.seq())).collect();
    assert_eq!(numbers, (0..402).collect::<Vec<u64>>());
    assert!(batches.iter().all(|batch| Arc::ptr_eq(&batch.run, &batches[0].run)));
    assert_eq!((report.events().offered, report.events().accepted), (402, 402));
}

#[tokio::test]
async fn a_full_sink_counts_exactly_what_it_dropped() {
    let sink = Arc::new(MemorySink::bounded(5.try_into().unwrap()));
    let engine = Engine::builder().events(Arc::clone(&sink)).build();
    let mut p = Pipeline::builder("two");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let b = p.stage("b", script::ok::<Arc<u64>, u64>(1)).after(a);
    let pipeline = p.output(b).build().unwrap();
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!((report.events().offered, report.events().accepted, report.events().dropped), (6, 5, 1));
    let counts = sink.counts();
    assert_eq!((counts.offered, counts.accepted, counts.dropped, counts.queued), (6, 5, 1, 5));
    assert_eq!(sink.drain().iter().map(|batch| batch.events.len()).sum::<usize>(), 5);
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!((report.events().accepted, sink.counts().drained, sink.counts().dropped), (5, 5, 2), "room again, up to the bound");
}

/// Takes what it is given, and says so wrongly.
struct Boastful;

impl EventSink for Boastful {
    fn try_emit(&self, _: Batch) -> Receipt {
        Receipt::new(1_000_000, 1_000_000)
    }
}

#[tokio::test]
async fn a_sink_that_miscounts_does_not_spoil_the_sum() {
    let engine = Engine::builder().events(Boastful).build();
    let mut p = Pipeline::builder("one");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let counts = engine.run(&pipeline, 0, RunOptions::new()).await.events();
    assert_eq!((counts.offered, counts.accepted + counts.dropped), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn the_written_form_of_every_event_is_stable() {
    let ids = SeededIds::new(7);
    let identity = RunIdentity::new(RunId::generate(&ids))
        .with_org_id(OrgId::generate(&ids))
        .with_user_id(UserId::generate(&ids))
        .with_request_id(RequestId::generate(&ids))
        .with_session_id(SessionId::generate(&ids))
        .with_interaction_id(InteractionId::generate(&ids));
    let lab = Lab::with(|builder| builder.wall_clock(FixedClock::new(std::time::SystemTime::UNIX_EPOCH + 3_600.secs())));
    let mut p = Pipeline::builder("golden");
    let n = p.input::<u64>();
    let load = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.on_cleanup("close the index", async || Err("it was closed"));
        cx.try_emit("docs.loaded", json!({ "pages": 3 }))?;
        tokio::time::sleep(2.millis()).await;
        Ok(*n)
    });
    let load = p.stage("load", load).after(n);
    let skip = p.stage("skip", script::skip::<Arc<u64>, u64>("nothing")).after(load);
    p.stage("behind", script::ok::<Arc<u64>, u64>(1)).after(skip);
    let fail = p.stage("fail", script::transient::<Arc<u64>, u64>("busy")).after(load);
    let pipeline = p.output(fail).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new().identity(identity)).await;
    let records: Vec<_> = lab.sink.all().iter().map(|recorded| EventRecord::new(&recorded.run, &recorded.event)).collect();
    let first = serde_json::to_string_pretty(&records[0]).unwrap();
    expect![[r#"
        {
          "version": 1,
          "type": "run.started",
          "seq": 0,
          "time_us": 3600000000,
          "elapsed_ns": 0,
          "pipeline": "golden",
          "run_id": "run_016f5e66e800700098f2f879164c8375",
          "correlation_id": "cor_016f5e66e800700098f2f879164c8375",
          "request_id": "req_016f5e66e8007003a54ebadc19cf8a72",
          "session_id": "ses_016f5e66e80070049cf4ced99a878876",
          "user_id": "usr_016f5e66e8007002b9a610202eac4a80",
          "org_id": "org_016f5e66e800700181130f35fd0f1987",
          "interaction_id": "int_016f5e66e80070058ff6afa1b2efaa84"
        }"#]].assert_eq(&first);
    // The envelope is the same from here on.
    let lines = records[1..].iter().map(|record| {
        let Value::Object(mut object) = serde_json::to_value(record).unwrap() else { unreachable!("a record is an object") };
        object.retain(|key, _| !key.ends_with("_id") && !["pipeline", "version"].contains(&key.as_str()));
        Value::Object(object).to_string() + "\n"
    });
    expect![[r#"
        {"attempt":1,"elapsed_ns":0,"seq":1,"stage":"load","time_us":3600000000,"type":"stage.started"}
        {"attempt":1,"data":{"pages":3},"elapsed_ns":0,"seq":2,"stage":"load","time_us":3600000000,"type":"docs.loaded"}
        {"attempt":1,"data":{"outcome":"succeeded"},"elapsed_ns":2000000,"seq":3,"stage":"load","time_us":3600002000,"type":"stage.ended"}
        {"attempt":1,"elapsed_ns":2000000,"seq":4,"stage":"skip","time_us":3600002000,"type":"stage.started"}
        {"attempt":1,"data":{"outcome":"skipped"},"elapsed_ns":2000000,"seq":5,"stage":"skip","time_us":3600002000,"type":"stage.ended"}
        {"data":{"because":"skip"},"elapsed_ns":2000000,"seq":6,"stage":"behind","time_us":3600002000,"type":"stage.skipped"}
        {"attempt":1,"elapsed_ns":2000000,"seq":7,"stage":"fail","time_us":3600002000,"type":"stage.started"}
        {"attempt":1,"data":{"class":"transient","code":"SF0301","error":"SF0301: stage `fail` failed (transient): busy; try again later, or put a retrying layer around the stage","outcome":"failed"},"elapsed_ns":2000000,"seq":8,"stage":"fail","time_us":3600002000,"type":"stage.ended"}
        {"data":{"cleanup":"close the index","error":"it was closed","outcome":"failed"},"elapsed_ns":2000000,"seq":9,"stage":"load","time_us":3600002000,"type":"cleanup.ended"}
        {"data":{"outcome":"failed","reason":"stage `fail` failed"},"elapsed_ns":2000000,"seq":10,"time_us":3600002000,"type":"run.ended"}
    "#]].assert_eq(&lines.collect::<String>());
    for record in &records {
        let written = serde_json::to_string(record).unwrap();
        assert_eq!(&serde_json::from_str::<EventRecord>(&written).unwrap(), record, "it can be read back");
    }
}
