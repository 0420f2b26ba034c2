//! Stores that fail, hang, are full, lose holds, or keep bytes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::StageErrorKind;
use stageflow::interceptors::idempotency::{Codec, StoreTrouble};
use stageflow::prelude::*;
use stageflow_testkit::{Probe, paused, script};
use tokio::time::advance;

use crate::idempotency::{Receipt, engine, said, shop, under};
use crate::idempotency_conformance::{Odd, Way};
use crate::idempotency_tricks::{Trick, Tricky};

fn far() -> (Odd, IdempotentWork) {
    let store = Odd::new(Way::Far);
    let layer = IdempotentWork::new(store.clone()).codec(Codec::new().json::<Receipt>());
    (store, layer)
}

#[test]
fn a_store_that_keeps_bytes_gives_equal_answers_to_those_who_wait_and_those_who_come_later() {
    paused(async {
        let (_, layer) = far();
        let (engine, sink) = engine(layer);
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let runs = (0..50).map(|_| engine.run(&pipeline, 7, under("k")));
        let mut reports = join_all(runs).await;
        for _ in 0..5 {
            reports.push(engine.run(&pipeline, 7, under("k")).await);
        }
        let first = serde_json::to_vec(reports[0].output().unwrap()).unwrap();
        for report in &reports {
            assert_eq!(serde_json::to_vec(report.output().unwrap()).unwrap(), first);
        }
        assert_eq!(probe.calls(), 1);
        let said = said(&sink);
        let count = |what| said.iter().filter(|said| *said == what).count();
        assert_eq!((count("waited"), count("replayed")), (49, 5));
    });
}

#[test]
fn optional_stages_are_kept_as_bytes_too() {
    paused(async {
        let (_, layer) = far();
        let (engine, sink) = engine(layer);
        let mut p = Pipeline::builder("shop");
        let n = p.input::<u64>();
        let receipt = Receipt {
            number: 1,
            text: "paid".to_owned(),
        };
        let stage = script::ok::<Arc<u64>, Receipt>(receipt.clone()).then(script::fail("again"));
        let pay = p
            .stage("pay", stage)
            .kind(StageKind::Work)
            .optional()
            .after(n);
        let pipeline = p.output(pay).build().unwrap();
        for _ in 0..3 {
            let report = engine.run(&pipeline, 7, under("k")).await;
            assert_eq!(report.output().unwrap(), &Some(receipt.clone()));
        }
        assert_eq!(said(&sink), ["replayed"; 2]);
    });
}

#[test]
fn a_value_that_no_codec_knows_is_refused_before_the_work_is_done() {
    paused(async {
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let layer = IdempotentWork::new(Odd::new(Way::Far)).on_store_error(StoreTrouble::Proceed);
        let (engine, _) = engine(layer);
        let report = engine.run(&pipeline, 7, under("k")).await;
        let error = report.error().unwrap();
        assert_eq!((error.code(), probe.calls()), ("SF0301", 0));
        assert!(
            error.to_string().contains(
                "SF0703: the idempotency store cannot keep a value of type `it::idempotency::Receipt`: it keeps bytes, and no \
                 codec knows the type; name the type in `IdempotentWork::codec`, as in `Codec::new().json::<T>()`"
            ) || error.to_string().contains("`idem::idempotency::Receipt`"),
            "{error}"
        );
    });
}

/// A value that cannot be written, though its type can.
#[test]
fn a_value_that_cannot_be_written_is_given_to_its_run_and_nobody_does_the_work_again_at_once() {
    paused(async {
        let codec = Codec::new().with::<Receipt>(|_| Err("too long".into()), |_| Err("no".into()));
        let layer = IdempotentWork::new(Odd::new(Way::Far))
            .codec(codec)
            .lease(9.secs());
        let (engine, sink) = engine(layer.wait(1.secs()));
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let report = engine.run(&pipeline, 7, under("k")).await;
        assert_eq!(report.output().unwrap().number, 1);
        let report = engine.run(&pipeline, 7, under("k")).await;
        assert_eq!(report.error().unwrap().kind(), &StageErrorKind::Rejected);
        assert_eq!(
            (probe.calls(), said(&sink)),
            (1, vec!["not_kept".to_owned()])
        );
    });
}

#[test]
fn what_was_kept_as_another_type_is_no_answer_and_the_work_is_not_done_again() {
    paused(async {
        let (engine, _) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()));
        let probe = Probe::new();
        engine
            .run(&shop("shop", "pay", &probe), 7, under("k"))
            .await
            .output()
            .unwrap();
        let mut p = Pipeline::builder("shop");
        let n = p.input::<u64>();
        let stage = script::ok::<Arc<u64>, u64>(1);
        let other = stage.probe();
        let pay = p.stage("pay", stage).kind(StageKind::Work).after(n);
        let pipeline = p.output(pay).build().unwrap();
        let report = engine.run(&pipeline, 7, under("k")).await;
        assert_eq!(
            report.error().unwrap().to_string(),
            "SF0301: stage `pay` failed: SF0704: what the idempotency store has kept cannot be read: it is not a `u64`; let \
             the stage give the type it gave when the answer was kept, and the codec read what it wrote; or rename the \
             pipeline; fix the cause, or make the stage `.optional()`"
        );
        assert_eq!(other.calls(), 0);
    });
}

#[test]
fn a_store_that_does_not_answer_refuses_the_work_or_lets_it_go_on_without_protection() {
    paused(async {
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let (store, layer) = far();
        store.broken.store(true, Ordering::SeqCst);
        let (strict, _) = engine(layer.clone());
        let report = strict.run(&pipeline, 7, under("k")).await;
        assert_eq!(
            report.error().unwrap().to_string(),
            "SF0313: stage `pay` was rejected: SF0701: the idempotency store does not answer: connection refused; look after \
             the store, or let work go on without it with `StoreTrouble::Proceed`; try again later, or look at the layer that is named: it protects what the \
             stage calls"
        );
        assert_eq!((probe.calls(), report.outcome()), (0, Outcome::Failed));
        let (lax, sink) = engine(layer.on_store_error(StoreTrouble::Proceed));
        for number in 1..=2 {
            let report = lax.run(&pipeline, 7, under("k")).await;
            assert_eq!(report.output().unwrap().number, number);
        }
        assert_eq!(said(&sink), ["unprotected"; 2]);
    });
}

#[test]
fn a_store_that_is_full_of_work_that_goes_on_takes_no_more() {
    paused(async {
        let store = MemoryIdempotencyStore::with_capacity(NonZeroUsize::MIN);
        let (engine, _) = engine(IdempotentWork::new(store.clone()));
        let probe = Probe::new();
        let pipeline = shop("shop", "pay", &probe);
        let [first, second] = ["a", "b"].map(|key| engine.run(&pipeline, 7, under(key)));
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.output().unwrap().number, 1);
        let said = second.error().unwrap().to_string();
        assert!(
            said.contains(
                "SF0702: the idempotency store is full: all of its 1 entries are of work that goes on; give the store room \
                 for more entries, or let fewer runs with a key go on at a time"
            ),
            "{said}"
        );
        // An answer makes room.
        assert!(engine.run(&pipeline, 7, under("b")).await.output().is_ok());
        assert_eq!((probe.calls(), store.len()), (2, 1));
    });
}

#[test]
fn an_answer_is_offered_again_to_a_store_that_does_not_take_it() {
    paused(async {
        for (failing, calls, events) in [(4, 1, "replayed"), (5, 2, "not_kept")] {
            let store = Odd::new(Way::Far);
            let offers = Arc::clone(&store.failing);
            let mut p = Pipeline::builder("shop");
            let n = p.input::<u64>();
            let probe = Probe::new();
            let stage = crate::support::watched(&probe, move |_cx: StageCx, _: Arc<u64>| {
                // From now on, the store fails so often.
                offers.store(failing, Ordering::SeqCst);
                async { Ok(5_u64) }
            });
            let pay = p.stage("pay", stage).kind(StageKind::Work).after(n);
            let pipeline = p.output(pay).build().unwrap();
            let layer = IdempotentWork::new(store).codec(Codec::new().json::<u64>());
            let (engine, sink) = engine(layer);
            for _ in 0..2 {
                let report = engine
                    .run(&pipeline, 7, under("k").deadline(60.secs()))
                    .await;
                assert_eq!(report.output().unwrap(), &5);
            }
            assert_eq!(probe.calls(), calls, "{failing}");
            assert_eq!(said(&sink)[0], events);
        }
    });
}

#[test]
fn whoever_loses_patience_is_told_when_to_come_again() {
    paused(async {
        let layer = IdempotentWork::new(MemoryIdempotencyStore::new()).lease(12.secs());
        let mut p = Pipeline::builder("shop");
        let n = p.input::<u64>();
        let stage = script::ok::<Arc<u64>, u64>(1).taking(100.secs());
        let pay = p.stage("pay", stage).kind(StageKind::Work).after(n);
        let pipeline = p.output(pay).build().unwrap();
        for (layer, waits) in [(layer.clone(), 30.secs()), (layer.wait(5.secs()), 5.secs())] {
            let (engine, _) = engine(layer);
            let [holder, other] = [(); 2].map(|()| engine.run(&pipeline, 7, under("k")));
            let late = engine.run(&pipeline, 7, under("k").deadline(40.secs()));
            let (holder, other, late) = tokio::join!(holder, other, late);
            assert!(holder.output().is_ok());
            assert_eq!(other.duration(), waits);
            let error = other.error().unwrap();
            assert_eq!(error.kind(), &StageErrorKind::Rejected);
            let rest = error.retry_after().unwrap();
            assert!(rest <= 12.secs() && rest > Duration::ZERO, "{rest:?}");
            assert!(error.to_string().contains(&format!(
                "layer `idempotency`: another call does the same work, and has not ended after {waits:?}"
            )));
            if waits == 30.secs() {
                assert_eq!(
                    (late.outcome(), late.duration()),
                    (Outcome::TimedOut, 40.secs())
                );
            }
            advance(Duration::from_secs(48 * 3600)).await;
        }
    });
}

/// A pipeline whose work takes so long and gives 1, 2, 3.
fn slow(takes: Duration) -> (Pipeline<u64, u64>, Probe) {
    let mut p = Pipeline::builder("shop");
    let n = p.input::<u64>();
    let steps = script::ok::<Arc<u64>, u64>(1).taking(takes);
    let steps = steps.then(script::ok(2).taking(takes));
    let probe = steps.probe();
    let pay = p.stage("pay", steps).kind(StageKind::Work).after(n);
    (p.output(pay).build().unwrap(), probe)
}

#[test]
fn a_store_that_hangs_is_given_the_time_of_a_lease_or_of_the_run() {
    paused(async {
        let layer = IdempotentWork::new(Tricky::new(Trick::Hangs)).wait(1.secs());
        let (engine, _) = engine(layer.lease(7.secs()));
        let (pipeline, probe) = slow(1.secs());
        let report = engine.run(&pipeline, 7, under("k")).await;
        let said = report.error().unwrap().to_string();
        assert!(said.contains("SF0701"), "{said}");
        assert_eq!((report.duration(), probe.calls()), (7.secs(), 0));
        let report = engine
            .run(&pipeline, 7, under("k").deadline(2.secs()))
            .await;
        assert_eq!(
            (report.outcome(), report.duration()),
            (Outcome::TimedOut, 2.secs())
        );
        assert_eq!(
            report.stage("pay").unwrap().stopped_in(),
            Some("idempotency")
        );
    });
}

#[test]
fn who_has_lost_the_work_stops_and_takes_the_answer_of_the_other_or_begins_again() {
    for (answer, output, calls) in [(Some(99), 99, 1), (None, 2, 2)] {
        paused(async {
            let store = Tricky::new(Trick::LosesOnRenewal);
            let (engine, sink) = engine(IdempotentWork::new(store.clone()).lease(9.secs()));
            let (pipeline, probe) = slow(100.secs());
            let run = engine.run(&pipeline, 7, under("k"));
            let (report, ()) = tokio::join!(run, store.end(answer));
            assert_eq!(report.output().unwrap(), &output);
            assert_eq!((probe.calls(), probe.dropped()), (calls, 1));
            assert_eq!(said(&sink)[0], "lost");
        });
    }
}

#[test]
fn who_has_lost_the_work_when_it_was_done_takes_the_answer_of_the_other_or_gives_its_own() {
    for (answer, output) in [(Some(99), 99), (None, 1)] {
        paused(async {
            let store = Tricky::new(Trick::LosesOnFinish);
            let (engine, _) = engine(IdempotentWork::new(store.clone()));
            let (pipeline, probe) = slow(1.secs());
            let run = engine.run(&pipeline, 7, under("k"));
            let (report, ()) = tokio::join!(run, store.end(answer));
            assert_eq!(report.output().unwrap(), &output);
            // What comes later gets the same.
            let again = engine.run(&pipeline, 7, under("k")).await;
            assert_eq!(again.output().unwrap(), &output);
            assert_eq!(probe.calls(), 1);
        });
    }
}

#[test]
fn work_whose_holder_cannot_be_renewed_is_stopped_after_a_lease_or_goes_on() {
    paused(async {
        let layer = IdempotentWork::new(Tricky::new(Trick::Deaf)).lease(9.secs());
        let (strict, _) = engine(layer.clone());
        let (pipeline, probe) = slow(100.secs());
        let report = strict.run(&pipeline, 7, under("k")).await;
        let said = report.error().unwrap().to_string();
        assert!(
            said.contains("SF0701") && said.contains("connection reset"),
            "{said}"
        );
        assert_eq!((report.duration(), probe.dropped()), (9.secs(), 1));
        let (lax, _) = engine(layer.on_store_error(StoreTrouble::Proceed));
        let report = lax.run(&pipeline, 7, under("k2")).await;
        assert_eq!(
            (report.output().unwrap(), report.duration()),
            (&2, 100.secs())
        );
    });
}
