//! What a run tells while it goes on.

use std::sync::{Arc, Mutex};

use expect_test::expect;
use serde_json::{Value, json};
use stageflow::context::{
    FixedClock, InteractionId, OrgId, RequestId, RunId, SeededIds, SessionId, UserId,
};
use stageflow::events::{Batch, EventRecord, Receipt};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::{Lab, json_text, undisturbed};

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
    let engine = undisturbed().events(batches.clone()).build();
    let mut p = Pipeline::builder("long");
    let mut at = p.input::<u64>();
    for i in 0..200 {
        at = p
            .stage(
                format!("s{i}"),
                stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1)),
            )
            .after(at);
    }
    let pipeline = p.output(at).build().unwrap();
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    let batches = batches.0.lock().unwrap();
    assert!(
        batches.len() > 1 && batches.len() < 30,
        "{} batches of 402 events",
        batches.len()
    );
    let numbers: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.events.iter().map(|event| event.seq()))
        .collect();
    assert_eq!(numbers, (0..402).collect::<Vec<u64>>());
    assert!(
        batches
            .iter()
            .all(|batch| Arc::ptr_eq(&batch.run, &batches[0].run))
    );
    assert_eq!(
        (report.events().offered, report.events().accepted),
        (402, 402)
    );
}

#[tokio::test]
async fn a_full_sink_counts_exactly_what_it_dropped() {
    let sink = Arc::new(MemorySink::bounded(5.try_into().unwrap()));
    let engine = undisturbed().events(Arc::clone(&sink)).build();
    let mut p = Pipeline::builder("two");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let b = p.stage("b", script::ok::<Arc<u64>, u64>(1)).after(a);
    let pipeline = p.output(b).build().unwrap();
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(
        (
            report.events().offered,
            report.events().accepted,
            report.events().dropped
        ),
        (6, 5, 1)
    );
    let counts = sink.counts();
    assert_eq!(
        (
            counts.offered,
            counts.accepted,
            counts.dropped,
            counts.queued
        ),
        (6, 5, 1, 5)
    );
    assert_eq!(
        sink.drain()
            .iter()
            .map(|batch| batch.events.len())
            .sum::<usize>(),
        5
    );
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(
        (
            report.events().accepted,
            sink.counts().drained,
            sink.counts().dropped
        ),
        (5, 5, 2),
        "room again, up to the bound"
    );
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
    let engine = undisturbed().events(Boastful).build();
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
    let lab = Lab::with(|builder| {
        builder.wall_clock(FixedClock::new(
            std::time::SystemTime::UNIX_EPOCH + 3_600.secs(),
        ))
    });
    let mut p = Pipeline::builder("golden");
    let n = p.input::<u64>();
    let load = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.on_cleanup("close the index", async || Err("it was closed"));
        cx.try_emit("docs.loaded", json!({ "pages": 3 }))?;
        tokio::time::sleep(2.millis()).await;
        Ok(*n)
    });
    let load = p.stage("load", load).after(n);
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("nothing"))
        .after(load);
    p.stage("behind", script::ok::<Arc<u64>, u64>(1))
        .after(skip);
    let fail = p
        .stage("fail", script::transient::<Arc<u64>, u64>("busy"))
        .after(load);
    let pipeline = p.output(fail).build().unwrap();
    lab.engine
        .run(&pipeline, 1, RunOptions::new().identity(identity))
        .await;
    let records: Vec<_> = lab
        .sink
        .all()
        .iter()
        .map(|recorded| EventRecord::new(&recorded.run, &recorded.event))
        .collect();
    let first = serde_json::to_string_pretty(&records[0]).unwrap();
    expect![[r#"
        {
          "version": 2,
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
          "interaction_id": "int_016f5e66e80070058ff6afa1b2efaa84",
          "trace_id": "016f5e66e800700098f2f879164c8375",
          "span_id": "5bb7603039f8338b",
          "data": {
            "stages": [
              {
                "kind": "transform",
                "name": "load",
                "role": "stage"
              },
              {
                "after": [
                  0
                ],
                "kind": "transform",
                "name": "skip",
                "role": "stage"
              },
              {
                "after": [
                  1
                ],
                "kind": "transform",
                "name": "behind",
                "role": "stage"
              },
              {
                "after": [
                  0
                ],
                "kind": "transform",
                "name": "fail",
                "role": "stage"
              }
            ]
          }
        }"#]]
    .assert_eq(&first);
    // The envelope is the same from here on.
    let lines = records[1..].iter().map(|record| {
        let Value::Object(mut object) = serde_json::to_value(record).unwrap() else {
            unreachable!("a record is an object")
        };
        object.retain(|key, _| {
            !key.ends_with("_id") && !["pipeline", "version"].contains(&key.as_str())
        });
        json_text(&Value::Object(object)) + "\n"
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
        assert_eq!(
            &serde_json::from_str::<EventRecord>(&written).unwrap(),
            record,
            "it can be read back"
        );
    }
}
