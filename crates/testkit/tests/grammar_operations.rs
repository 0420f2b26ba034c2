//! The rule for operations notices when it is broken.

#![cfg(test)]

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{
    ContextSnapshot, Operation, OperationEnd, Outcome, Part, RunId, RunIdentity, SeededIds,
    StageIndex, Step,
};
use stageflow_events::{Event, EventKind, OperationEnded, OperationStarted, PartEnded, RunHeader};
use stageflow_testkit::{EventGrammar, Recorded, Rule};

const STAGE: StageIndex = StageIndex::new(0);

fn item() -> Arc<Part> {
    Part::new(None, Step::Item(0))
}

/// The operation with this number, of this attempt of the stage.
fn call(number: u32, attempt: u32) -> OperationStarted {
    let operation = Arc::new(Operation::tool("t"));
    OperationStarted::new(STAGE, attempt, None, number, operation)
}

/// The same, of the first attempt of a part.
fn of_part(number: u32) -> OperationStarted {
    OperationStarted::new(
        STAGE,
        1,
        Some(item()),
        number,
        Arc::new(Operation::tool("t")),
    )
}

fn starts(call: OperationStarted) -> EventKind {
    EventKind::OperationStarted(Box::new(call))
}

fn ends(call: OperationStarted) -> EventKind {
    let end = OperationEnd::new(Outcome::Succeeded, None);
    EventKind::OperationEnded(Box::new(OperationEnded::new(call, end)))
}

fn part_starts() -> EventKind {
    EventKind::PartStarted {
        stage: STAGE,
        attempt: 1,
        part: item(),
    }
}

fn part_ends() -> EventKind {
    let ended = PartEnded::new(STAGE, item(), 1, Outcome::Succeeded, None);
    EventKind::PartEnded(Box::new(ended))
}

fn stage_ends() -> EventKind {
    EventKind::StageEnded {
        stage: STAGE,
        attempt: 1,
        outcome: Outcome::Succeeded,
        error: None,
    }
}

/// The rules that such a story of a run with one stage breaks.
fn broken(story: Vec<EventKind>) -> Vec<Rule> {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let header = Arc::new(RunHeader::by_hand(
        ContextSnapshot::new(identity),
        "alone".into(),
        ["a".parse().unwrap()].into(),
        SystemTime::UNIX_EPOCH,
    ));
    let begin = [
        EventKind::RunStarted,
        EventKind::StageStarted {
            stage: STAGE,
            attempt: 1,
        },
    ];
    let over = EventKind::RunEnded {
        outcome: Outcome::Succeeded,
        reason: None,
    };
    let mut grammar = EventGrammar::new();
    let whole = begin.into_iter().chain(story).chain([over]);
    for (seq, kind) in (0..).zip(whole) {
        grammar.observe(&Recorded::new(
            Arc::clone(&header),
            Event::new(seq, seq, kind),
        ));
    }
    let error = grammar.finish().err();
    error.map_or_else(Vec::new, |error| error.rules())
}

#[test]
fn sound_stories_break_no_rule() {
    let sound = [
        vec![starts(call(0, 1)), ends(call(0, 1)), stage_ends()],
        vec![
            starts(call(0, 1)),
            starts(call(1, 1).within(0)),
            starts(call(2, 1)),
            ends(call(1, 1)),
            ends(call(0, 1)),
            ends(call(2, 1)),
            stage_ends(),
        ],
        vec![
            part_starts(),
            starts(of_part(0)),
            ends(of_part(0)),
            part_ends(),
            stage_ends(),
        ],
        // In a cleanup.
        vec![stage_ends(), starts(call(0, 0)), ends(call(0, 0))],
    ];
    for story in sound {
        assert_eq!(broken(story), []);
    }
}

#[test]
fn the_rule_notices_when_it_is_broken() {
    let cases = [
        vec![starts(call(0, 1)), stage_ends()],
        vec![starts(call(0, 1)), stage_ends(), ends(call(0, 1))],
        vec![stage_ends(), starts(call(0, 1)), ends(call(0, 1))],
        vec![starts(call(0, 2)), ends(call(0, 2)), stage_ends()],
        vec![ends(call(0, 1)), stage_ends()],
        vec![
            starts(call(0, 1)),
            ends(call(0, 1)),
            ends(call(0, 1)),
            stage_ends(),
        ],
        vec![
            starts(call(0, 1)),
            ends(call(0, 1)),
            starts(call(0, 1)),
            ends(call(0, 1)),
            stage_ends(),
        ],
        vec![
            starts(call(0, 1)),
            starts(call(1, 1).within(0)),
            ends(call(0, 1)),
            ends(call(1, 1)),
            stage_ends(),
        ],
        vec![
            starts(call(0, 1)),
            ends(call(0, 1)),
            starts(call(1, 1).within(0)),
            ends(call(1, 1)),
            stage_ends(),
        ],
        vec![
            part_starts(),
            starts(of_part(0)),
            part_ends(),
            ends(of_part(0)),
            stage_ends(),
        ],
        vec![starts(of_part(0)), ends(of_part(0)), stage_ends()],
        vec![stage_ends(), starts(call(0, 0))],
    ];
    for (at, story) in cases.into_iter().enumerate() {
        let broken = broken(story);
        assert!(
            broken.contains(&Rule::OperationsLieInside),
            "{at}: {broken:?}"
        );
    }
}
