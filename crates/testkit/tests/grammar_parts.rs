//! The rules for parts of stages notice when they are broken.

#![cfg(test)]

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{
    ContextSnapshot, Note, Outcome, Part, RunId, RunIdentity, SeededIds, StageIndex, Step,
};
use stageflow_events::{Event, EventKind, PartEnded, RunHeader};
use stageflow_testkit::{EventGrammar, Recorded, Rule};

/// What the events of a run with one stage say, in short.
#[derive(Clone, Copy)]
enum Say {
    Begin,
    Stage,
    StageEnds,
    /// The item, and the attempt.
    Part(u32, u32),
    PartEnds(u32, u32),
    Answer(u32),
    /// An item of item 0, and its end.
    Inner,
    InnerEnds,
    Note(u32, u32),
    Over,
}

use Say::{Answer, Begin, Inner, InnerEnds, Over, PartEnds, Stage, StageEnds};

const STAGE: StageIndex = StageIndex::new(0);

fn item(index: u32) -> Arc<Part> {
    Part::new(None, Step::Item(index))
}

fn ended(part: Arc<Part>, attempt: u32) -> Box<PartEnded> {
    Box::new(PartEnded::new(
        STAGE,
        part,
        attempt,
        Outcome::Succeeded,
        None,
    ))
}

fn started(part: Arc<Part>, attempt: u32) -> EventKind {
    EventKind::PartStarted {
        stage: STAGE,
        attempt,
        part,
    }
}

fn kind(say: Say) -> EventKind {
    let inner = || Part::new(Some(item(0)), Step::Round(1));
    match say {
        Begin => EventKind::RunStarted,
        Stage => EventKind::StageStarted {
            stage: STAGE,
            attempt: 1,
        },
        StageEnds => EventKind::StageEnded {
            stage: STAGE,
            attempt: 1,
            outcome: Outcome::Succeeded,
            error: None,
        },
        Say::Part(at, attempt) => started(item(at), attempt),
        PartEnds(at, attempt) => EventKind::PartEnded(ended(item(at), attempt)),
        Answer(at) => EventKind::PartAnswered(ended(item(at), 0)),
        Inner => started(inner(), 1),
        InnerEnds => EventKind::PartEnded(ended(inner(), 1)),
        Say::Note(at, attempt) => EventKind::Note {
            stage: STAGE,
            attempt,
            note: Box::new(
                Note::new("said", serde_json::Value::Null)
                    .unwrap()
                    .of_part(item(at)),
            ),
        },
        Over => EventKind::RunEnded {
            outcome: Outcome::Succeeded,
            reason: None,
        },
    }
}

/// The rules that such a story within a stage breaks.
fn broken(story: &[Say]) -> Vec<Rule> {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let header = Arc::new(RunHeader::by_hand(
        ContextSnapshot::new(identity),
        "alone".into(),
        ["a".parse().unwrap()].into(),
        SystemTime::UNIX_EPOCH,
    ));
    let mut grammar = EventGrammar::new();
    let whole = [&[Begin, Stage], story, &[StageEnds, Over]].concat();
    for (seq, say) in (0..).zip(whole) {
        let event = Event::new(seq, seq, kind(say));
        grammar.observe(&Recorded::new(Arc::clone(&header), event));
    }
    grammar
        .finish()
        .err()
        .map_or_else(Vec::new, |error| error.rules())
}

#[test]
fn sound_stories_break_no_rule() {
    let sound: [&[Say]; 5] = [
        &[
            Say::Part(0, 1),
            Say::Part(1, 1),
            PartEnds(1, 1),
            PartEnds(0, 1),
        ],
        &[
            Say::Part(0, 1),
            PartEnds(0, 1),
            Say::Part(0, 2),
            PartEnds(0, 2),
            Answer(0),
        ],
        &[Answer(0)],
        &[Say::Part(0, 1), Inner, InnerEnds, PartEnds(0, 1)],
        &[
            Say::Part(0, 1),
            PartEnds(0, 1),
            Say::Part(0, 2),
            PartEnds(0, 2),
            Say::Note(0, 2),
        ],
    ];
    for story in sound {
        assert_eq!(broken(story), []);
    }
}

#[test]
fn each_rule_notices_when_it_is_broken() {
    let cases: [(&[Say], Rule); 8] = [
        (&[Say::Part(0, 1)], Rule::PartsLieInside),
        (
            &[StageEnds, Say::Part(0, 1), PartEnds(0, 1), Stage],
            Rule::PartsLieInside,
        ),
        (
            &[Say::Part(0, 1), Inner, PartEnds(0, 1), InnerEnds],
            Rule::PartsLieInside,
        ),
        (
            &[Say::Part(0, 1), PartEnds(0, 1), Inner, InnerEnds],
            Rule::PartsLieInside,
        ),
        (&[PartEnds(0, 1)], Rule::StartBeforeEnd),
        (
            &[Say::Part(0, 1), Say::Part(0, 2), PartEnds(0, 2)],
            Rule::OneAttemptAtATime,
        ),
        (&[Say::Part(0, 2), PartEnds(0, 2)], Rule::AttemptsCount),
        (
            &[Say::Part(0, 1), Say::Note(0, 2), PartEnds(0, 1)],
            Rule::StartBeforeEnd,
        ),
    ];
    for (at, (story, rule)) in cases.into_iter().enumerate() {
        let broken = broken(story);
        assert!(broken.contains(&rule), "{at}: {broken:?}, not {rule:?}");
    }
    assert!(broken(&[Answer(0), Answer(0)]).contains(&Rule::EndsAreLast));
}
