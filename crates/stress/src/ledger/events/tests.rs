//! Every rule of the ledger, broken once.

use std::num::NonZeroU64;
use std::sync::Arc;

use stageflow::context::{ContextSnapshot, RunId, RunIdentity, StageIndex, SystemIds};
use stageflow::prelude::*;
use stageflow_testkit::{RecordingSink, paused, script};

use super::*;

fn identity() -> RunIdentity {
    RunIdentity::new(RunId::generate(&SystemIds::new()))
}

fn pair() -> Pipeline<u32, u32> {
    let mut p = Pipeline::builder("pair");
    let n = p.input::<u32>();
    let a = p.stage("a", script::ok(1_u32)).after(n);
    let b = p.stage("b", script::ok(2_u32)).after(a);
    p.output(b).build().unwrap()
}

/// The events of one healthy run.
fn story(identity: &RunIdentity) -> Batch {
    let sink = RecordingSink::new();
    let engine = Engine::builder().events(sink.clone()).build();
    let options = RunOptions::new().identity(identity.clone());
    let pipeline = pair();
    paused(async { drop(engine.run(&pipeline, 0, options).await) });
    let all = sink.all();
    let events = all.iter().map(|recorded| recorded.event.clone()).collect();
    Batch::new(Arc::clone(&all[0].run), events)
}

fn flaws_of(change: impl FnOnce(&mut Batch)) -> Vec<Flaw> {
    let identity = identity();
    let mut batch = story(&identity);
    change(&mut batch);
    let ledger = EventLedger::of_plan(pair().plan());
    ledger.announce(&identity);
    let _all = ledger.try_emit(batch);
    ledger.end_of(identity.run_id(), Outcome::Succeeded);
    ledger.close();
    assert_eq!(ledger.is_sound(), lock(&ledger.0.flaws).is_empty());
    lock(&ledger.0.flaws).clone()
}

#[test]
fn a_healthy_run_is_sound() {
    assert!(flaws_of(|_| ()).is_empty());
}

#[test]
fn every_single_change_is_noticed() {
    for at in 0..6 {
        let breach_of = |change: fn(&mut Vec<Event>, usize)| {
            let flaws = flaws_of(|batch| change(&mut batch.events, at));
            assert!(!flaws.is_empty(), "event {at}");
            flaws[0].breach
        };
        let lost = breach_of(|events, at| drop(events.remove(at)));
        assert!(
            [Breach::Lost, Breach::WrongStatus].contains(&lost),
            "{at}: {lost:?}"
        );
        let twice = breach_of(|events, at| events.insert(at, events[at].clone()));
        assert_eq!(twice, Breach::Duplicated);
        breach_of(|events, at| events.swap(at, (at + 1) % 6));
    }
}

#[test]
fn a_renumbered_gap_is_noticed_by_the_rules() {
    for missing in 0..6 {
        let flaws = flaws_of(|batch| {
            batch.events.remove(missing);
            let renumbered = batch.events.iter().enumerate();
            batch.events = renumbered
                .map(|(seq, event)| Event::new(seq as u64, seq as u64, event.kind().clone()))
                .collect();
        });
        assert!(!flaws.is_empty(), "without event {missing}");
    }
}

#[test]
fn an_early_start_is_noticed() {
    let flaws = flaws_of(|batch| {
        let kinds: Vec<_> = batch
            .events
            .iter()
            .map(|event| event.kind().clone())
            .collect();
        // b starts before a has ended.
        let order = [0, 1, 3, 2, 4, 5].into_iter().enumerate();
        batch.events = order
            .map(|(seq, from)| Event::new(seq as u64, 0, kinds[from].clone()))
            .collect();
    });
    assert!(
        flaws
            .iter()
            .any(|flaw| flaw.detail.contains("has not ended")),
        "{flaws:?}"
    );
}

#[test]
fn another_runs_identity_is_noticed() {
    let flaws = flaws_of(|batch| {
        let other = ContextSnapshot::new(identity());
        let header = RunHeader::by_hand(
            other,
            "pair".into(),
            Arc::from([]),
            std::time::SystemTime::UNIX_EPOCH,
        );
        batch.run = Arc::new(header);
    });
    assert!(
        flaws.iter().any(|flaw| flaw.breach == Breach::Leaked),
        "{flaws:?}"
    );
}

#[test]
fn reports_are_held_against_what_came() {
    let ledger = EventLedger::new();
    let half = Arc::new(Half(ledger.clone()));
    let engine = Engine::builder().events(half).build();
    let pipeline = pair();
    let report = paused(async { engine.run(&pipeline, 0, RunOptions::new()).await });
    ledger.settle(&report);
    assert!(!ledger.is_sound());
    assert_eq!(ledger.sums().events, 3);
    assert_eq!(
        place(&EventKind::BlockingDetected {
            stage: StageIndex::new(0),
            micros: 1
        }),
        8
    );
}

/// Says it took everything, and loses half.
struct Half(EventLedger);

impl EventSink for Half {
    fn try_emit(&self, mut batch: Batch) -> Receipt {
        let count = NonZeroU64::new(batch.events.len() as u64).map_or(0, NonZeroU64::get);
        batch.events.truncate(batch.events.len() / 2);
        let _some = self.0.try_emit(batch);
        Receipt::new(count, 0)
    }
}
