//! The rules for undoing notice when they are broken.

#![cfg(test)]

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{ContextSnapshot, Outcome, RunId, RunIdentity, SeededIds, StageIndex};
use stageflow_events::{CleanupEnded, Event, EventKind, RunHeader, UndoEnded, UndoState};
use stageflow_graph::{Pipeline, Plan};
use stageflow_testkit::{EventGrammar, Recorded, Rule, script};

/// What the events of a run with the stages 0 and 1, which can be undone, and 2, which fails, say.
#[derive(Clone, Copy)]
enum Say {
    Begin,
    Stage(u32),
    StageEnds(u32, Outcome),
    Undo(u32, u32),
    UndoEnds(u32, u32, UndoState),
    Cleanup,
    Over(Outcome),
}

use Outcome::{Failed, Succeeded};
use Say::{Begin, Cleanup, Over, Stage, StageEnds, Undo, UndoEnds};
use UndoState::{Undoing, Undone};

fn plan() -> Arc<Plan> {
    let undo = |_, _| std::future::ready(Ok(()));
    let mut p = Pipeline::builder("three");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok(1_u64)).undo(undo).after(n);
    let b = p.stage("b", script::ok(2_u64)).undo(undo).after(a);
    let c = p.stage("c", script::fail::<Arc<u64>, u64>("no")).after(b);
    Arc::clone(p.output(c).build().unwrap().plan())
}

fn kind(say: Say) -> EventKind {
    let at = StageIndex::new;
    match say {
        Begin => EventKind::RunStarted,
        Stage(stage) => EventKind::StageStarted {
            stage: at(stage),
            attempt: 1,
        },
        StageEnds(stage, outcome) => EventKind::StageEnded {
            stage: at(stage),
            attempt: 1,
            outcome,
            error: None,
        },
        Undo(stage, attempt) => EventKind::UndoStarted {
            stage: at(stage),
            attempt,
        },
        UndoEnds(stage, attempt, state) => {
            let outcome = if state == Undone { Succeeded } else { Failed };
            let ended = UndoEnded::new(at(stage), attempt, outcome, state, None);
            EventKind::UndoEnded(Box::new(ended))
        }
        Cleanup => {
            let ended = CleanupEnded::new(at(0), Arc::from("tidy"), Succeeded, None);
            EventKind::CleanupEnded(Box::new(ended))
        }
        Over(outcome) => EventKind::RunEnded {
            outcome,
            reason: None,
        },
    }
}

/// The rules that a run breaks which begins as usual and goes on like this.
fn broken(rest: &[Say]) -> Vec<Rule> {
    let plan = plan();
    let context = ContextSnapshot::new(RunIdentity::new(RunId::generate(&SeededIds::new(1))));
    let names = Arc::clone(plan.names());
    let run = RunHeader::by_hand(
        context,
        Arc::clone(plan.name()),
        names,
        SystemTime::UNIX_EPOCH,
    );
    let run = Arc::new(run);
    let start = [
        Begin,
        Stage(0),
        StageEnds(0, Succeeded),
        Stage(1),
        StageEnds(1, Succeeded),
        Stage(2),
        StageEnds(2, Failed),
    ];
    let mut grammar = EventGrammar::new().of_plan(&plan);
    for (seq, say) in (0..).zip(start.iter().chain(rest)) {
        let event = Event::new(seq, seq, kind(*say));
        grammar.observe(&Recorded::new(Arc::clone(&run), event));
    }
    grammar
        .finish()
        .map_or_else(|error| error.rules(), |()| Vec::new())
}

#[test]
fn undoing_backwards_and_before_the_cleanups_is_sound() {
    let sound = [
        Undo(1, 1),
        UndoEnds(1, 1, Undoing),
        Undo(1, 2),
        UndoEnds(1, 2, UndoState::Failed),
        Undo(0, 1),
        UndoEnds(0, 1, Undone),
        Cleanup,
        Over(Failed),
    ];
    assert_eq!(broken(&sound), []);
    let too_late = [
        Undo(1, 1),
        UndoEnds(1, 1, Undoing),
        UndoEnds(1, 1, UndoState::Failed),
        UndoEnds(0, 0, UndoState::Failed),
        Over(Failed),
    ];
    assert_eq!(broken(&too_late), []);
    assert_eq!(broken(&[Over(Failed)]), [], "it may be left as it is");
}

#[test]
fn undoing_in_any_other_way_is_noticed() {
    let undo = |stage| [Undo(stage, 1), UndoEnds(stage, 1, Undone)];
    let both = [undo(1), undo(0)].concat();
    let with = |parts: &[&[Say]]| broken(&parts.concat());
    let wrong = [
        ("forwards", with(&[&undo(0), &undo(1), &[Over(Failed)]])),
        ("not all of it", with(&[&undo(1), &[Over(Failed)]])),
        ("twice", with(&[&both, &undo(0), &[Over(Failed)]])),
        ("what failed", with(&[&undo(2), &both, &[Over(Failed)]])),
        ("after success", with(&[&both, &[Over(Succeeded)]])),
        (
            "after a cleanup",
            with(&[&[Cleanup], &both, &[Over(Failed)]]),
        ),
        ("no end", with(&[&undo(1), &[Undo(0, 1), Over(Failed)]])),
        (
            "two at a time",
            with(&[&[Undo(1, 1), Undo(0, 1)], &[Over(Failed)]]),
        ),
        (
            "attempts that do not count",
            with(&[
                &[Undo(1, 2), UndoEnds(1, 2, Undone)],
                &undo(0),
                &[Over(Failed)],
            ]),
        ),
        (
            "a cleanup in between",
            with(&[
                &[Undo(1, 1), Cleanup, UndoEnds(1, 1, Undone)],
                &undo(0),
                &[Over(Failed)],
            ]),
        ),
        (
            "before the stages have ended",
            with(&[&[Stage(2)], &both, &[StageEnds(2, Failed), Over(Failed)]]),
        ),
    ];
    for (what, rules) in wrong {
        assert!(rules.contains(&Rule::UndoneBackwards), "{what}: {rules:?}");
    }
}
