//! How far undoing has come, told by records alone.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::events::{Doings, EventRecord, UndoPlan, UndoPlanErrorKind, UndoState, UndoStep};
use stageflow::graph::Plan;
use stageflow::interceptors::On;
use stageflow::prelude::*;
use stageflow_lens::{Arrival, Stories, analyze};
use stageflow_testkit::{Recorded, paused, script};

use crate::support::{Lab, Log};
use crate::undo::written;
use crate::undo_values::Twice;

/// A run with an undo that works, one that works the second time, one that never does, a stage without, and two stages that a
/// layer calls twice: well, and badly.
fn told() -> (Arc<Plan>, RunReport<u64>, Vec<Recorded>) {
    paused(async {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept_on(On::stage("again"), Twice);
            builder.intercept_on(On::stage("worse"), Twice)
        });
        let mut p = Pipeline::builder("shop");
        let n = p.input::<u64>();
        let log = Log::default();
        let works = || written(&log);
        let again = p.stage("again", script::ok(0_u64)).undo(works()).after(n);
        let worse = script::ok(0_u64).then(script::skip("enough"));
        let worse = p.stage("worse", worse).optional().undo(works());
        let worse = worse.after(again);
        let ok = script::ok::<(Arc<u64>, Arc<Option<u64>>), u64>(1);
        let a = p.stage("a", ok).undo(works()).after((again, worse));
        let second = |cx: UndoCx, _: Given<u64>| {
            std::future::ready(match cx.attempt().get() {
                1 => Err(Stop::fail("busy")),
                _ => Ok(()),
            })
        };
        let b = p.stage("b", script::ok(2_u64)).undo(second).after(a);
        let plain = p.stage("plain", script::ok(3_u64)).after(b);
        let never = |_cx: UndoCx, _: Given<u64>| std::future::ready(Err(Stop::fail("closed")));
        let c = p.stage("c", script::ok(4_u64)).undo(never).after(plain);
        let last = script::fail::<Arc<u64>, u64>("no");
        let last = p
            .stage("last", last)
            .undo(written(&Log::default()))
            .after(c);
        let pipeline = p.output(last).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        (Arc::clone(pipeline.plan()), report, lab.sink.all())
    })
}

fn records(told: &[Recorded]) -> Vec<EventRecord> {
    let record = |said: &Recorded| EventRecord::new(&said.run, &said.event);
    told.iter().map(record).collect()
}

#[test]
fn the_plan_from_records_is_that_of_the_engine_at_any_cut() {
    let (plan, report, told) = told();
    let records = records(&told);
    let run = report.id().to_string();
    let mut live = Doings::new();
    for cut in 1..=told.len() {
        live.observe(told[cut - 1].event.kind(), |stage| {
            plan.undo(stage.as_usize()).is_some()
        });
        let rebuilt = UndoPlan::from_records(&run, &records[..cut]).unwrap();
        assert_eq!(
            rebuilt,
            live.plan(report.id(), plan.names()),
            "after {cut} events"
        );
    }
    let rebuilt = UndoPlan::from_records(&run, &records).unwrap();
    assert_eq!(Some(rebuilt), report.undo_plan());
}

#[test]
fn a_plan_is_plain_data_that_says_what_is_left() {
    let (_, report, told) = told();
    let (run, records) = (report.id().to_string(), records(&told));
    let at = |what: &str, stage: &str, attempt: u32| {
        let found = records.iter().position(|record| {
            let is_stage = record.stage.as_deref() == Some(stage);
            record.kind == what && is_stage && record.attempt == Some(attempt)
        });
        UndoPlan::from_records(&run, &records[..=found.unwrap()]).unwrap()
    };
    let states = |plan: &UndoPlan| -> Vec<(String, UndoState, u32)> {
        let state = |step: &UndoStep| (step.stage.clone(), step.state, step.attempts);
        plan.steps.iter().map(state).collect()
    };
    let due = |plan: &UndoPlan| {
        plan.due()
            .map(|step| step.stage.clone())
            .collect::<Vec<_>>()
    };
    let step = |stage: &str, state, attempts| (stage.to_owned(), state, attempts);

    let before = at("stage.ended", "last", 1);
    assert_eq!(due(&before), ["c", "b", "a", "again"]);
    let failed = at("undo.ended", "c", 3);
    assert_eq!(due(&failed), ["b", "a", "again"]);
    let halfway = at("undo.started", "b", 2);
    assert_eq!(
        states(&halfway),
        [
            step("again", UndoState::Done, 0),
            step("a", UndoState::Done, 0),
            step("b", UndoState::Undoing, 2),
            step("c", UndoState::Failed, 3)
        ]
    );
    let text = serde_json::to_string(&halfway).unwrap();
    assert_eq!(serde_json::from_str::<UndoPlan>(&text).unwrap(), halfway);
    let end = report.undo_plan().unwrap();
    assert_eq!(
        states(&end),
        [
            step("again", UndoState::Undone, 1),
            step("a", UndoState::Undone, 1),
            step("b", UndoState::Undone, 2),
            step("c", UndoState::Failed, 3)
        ]
    );
    assert!(end.ended && end.due().next().is_none());
    assert_eq!(end.failed().count(), 1);
}

#[test]
fn records_may_come_twice_and_in_any_order_and_among_others() {
    let (_, report, told) = told();
    let (_, _, others) = self::told();
    let mut mixed = records(&others);
    mixed.extend(records(&told).into_iter().rev());
    mixed.extend(records(&told));
    let rebuilt = UndoPlan::from_records(&report.id().to_string(), &mixed).unwrap();
    assert_eq!(Some(rebuilt), report.undo_plan());
}

#[test]
fn what_records_do_not_tell_is_never_guessed() {
    let (_, report, told) = told();
    let (run, whole) = (report.id().to_string(), records(&told));
    let of = |records: &[EventRecord]| UndoPlan::from_records(&run, records).unwrap_err();
    for missing in 1..whole.len() - 1 {
        let mut holed = whole.clone();
        holed.remove(missing);
        let seq = missing as u64;
        assert_eq!(of(&holed).kind(), UndoPlanErrorKind::Missing(seq));
    }
    assert_eq!(of(&whole[1..]).kind(), UndoPlanErrorKind::NoStart);
    assert_eq!(of(&[]).kind(), UndoPlanErrorKind::NoStart);
    let mut torn = whole;
    let ended = torn
        .iter()
        .position(|record| record.kind == "undo.ended")
        .unwrap();
    torn[ended].data["state"] = "half".into();
    assert_eq!(of(&torn).kind(), UndoPlanErrorKind::Unclear(ended as u64));
    assert_eq!(
        of(&torn).to_string(),
        format!(
            "SF0413: the records of run {run} do not tell what is left to undo: number {ended} does not say how the undoing went; take them from a sink that has lost none, such as the journal"
        )
    );
}

#[test]
fn a_journal_that_tells_of_undoing_fits_together_and_so_does_its_story() {
    let (_, report, told) = told();
    let records = records(&told);
    let found = analyze(&records, Arrival::InOrder);
    assert!(found.is_empty(), "{found:?}");
    let stories = Stories::of(&records, NonZeroUsize::new(10).unwrap());
    let story = stories.iter().next().unwrap();
    assert_eq!(story.not_undone().collect::<Vec<_>>(), ["c"]);
    let attempts: u32 = report.undos().iter().map(|undo| undo.attempts).sum();
    assert_eq!(story.undos.len(), attempts as usize);
    assert!(story.stages.iter().all(|stage| stage.notes == 0));

    let mut torn = records;
    let ended = torn
        .iter()
        .position(|record| record.kind == "undo.ended")
        .unwrap();
    torn[ended].data = serde_json::Value::Null;
    assert_eq!(analyze(&torn, Arrival::InOrder).iter().count(), 1);
}

#[test]
fn a_pipeline_without_undos_has_no_plan() {
    paused(async {
        let lab = Lab::new();
        let mut p = Pipeline::builder("plain");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok(1_u64)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(report.undo_plan(), None);
        let records = records(&lab.sink.all());
        assert!(!records[0].data.to_string().contains("undo"));
    });
}
