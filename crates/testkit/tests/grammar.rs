//! Every rule of the grammar notices when it is broken, and a sound story breaks none.

#![cfg(test)]

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{
    ContextSnapshot, Outcome, RunId, RunIdentity, SeededIds, StageIndex, StageName,
};
use stageflow_events::{CleanupEnded, Event, EventKind, RunHeader};
use stageflow_graph::{Pipeline, Plan};
use stageflow_testkit::{EventGrammar, Recorded, Rule, script};

/// What the events of a run say, in short.
#[derive(Clone, Copy)]
enum Say {
    Begin,
    Start(u32, u32),
    End(u32, u32, Outcome),
    Answer(u32, Outcome),
    Skip(u32, u32),
    Long(u32),
    Cleanup(u32),
    Over(Outcome),
}

use Outcome::{Cancelled, Failed, Skipped, Succeeded};
use Say::{Answer, Begin, Cleanup, End, Long, Over, Skip, Start};

fn kind(say: Say) -> EventKind {
    let stage = StageIndex::new;
    match say {
        Begin => EventKind::RunStarted,
        Start(at, attempt) => EventKind::StageStarted {
            stage: stage(at),
            attempt,
        },
        End(at, attempt, outcome) => EventKind::StageEnded {
            stage: stage(at),
            attempt,
            outcome,
            error: None,
        },
        Answer(at, outcome) => EventKind::StageAnswered {
            stage: stage(at),
            outcome,
            error: None,
        },
        Skip(at, because) => EventKind::StageSkipped {
            stage: stage(at),
            because: stage(because),
        },
        Long(at) => EventKind::BlockingDetected {
            stage: stage(at),
            micros: 1,
        },
        Cleanup(at) => EventKind::CleanupEnded(Box::new(CleanupEnded::new(
            stage(at),
            "tidy up".into(),
            Succeeded,
            None,
        ))),
        Over(outcome) => EventKind::RunEnded {
            outcome,
            reason: None,
        },
    }
}

/// `a`, and `b` and `c` after it; `d` after both, of which `c` is optional.
fn plan() -> Arc<Plan> {
    let mut p = Pipeline::builder("diamond");
    let input = p.input::<u8>();
    let a = p.stage("a", script::ok(1)).after(input);
    let b = p.stage("b", script::ok(2)).after(a);
    let c = p.stage("c", script::ok(3)).optional().after(a);
    let d = p.stage("d", script::ok(4)).after((b, c));
    Arc::clone(p.output(d).build().unwrap().plan())
}

fn header() -> Arc<RunHeader> {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let names: Vec<StageName> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    Arc::new(RunHeader::by_hand(
        ContextSnapshot::new(identity),
        "diamond".into(),
        names.into(),
        SystemTime::UNIX_EPOCH,
    ))
}

/// The rules that a story breaks, with numbers and times as they should be.
fn broken(story: &[Say]) -> Vec<Rule> {
    let events = (0..)
        .zip(story)
        .map(|(seq, say)| Event::new(seq, seq, kind(*say)));
    broken_by(events)
}

fn broken_by(events: impl Iterator<Item = Event>) -> Vec<Rule> {
    let header = header();
    let mut grammar = EventGrammar::new().of_plan(&plan());
    events.for_each(|event| grammar.observe(&Recorded::new(Arc::clone(&header), event)));
    grammar
        .finish()
        .err()
        .map(|error| error.rules())
        .unwrap_or_default()
}

#[test]
fn sound_stories_break_no_rule() {
    let all = [
        Begin,
        Start(0, 1),
        End(0, 1, Failed),
        Start(0, 2),
        Long(0),
        End(0, 2, Succeeded),
        Start(1, 1),
        Start(2, 1),
        End(2, 1, Failed),
        End(1, 1, Succeeded),
        Start(3, 1),
        End(3, 1, Succeeded),
        Cleanup(3),
        Cleanup(0),
        Over(Succeeded),
    ];
    assert_eq!(broken(&all), []);
    let skipped = [
        Begin,
        Start(0, 1),
        End(0, 1, Skipped),
        Skip(1, 0),
        Skip(2, 0),
        Skip(3, 0),
        Over(Skipped),
    ];
    assert_eq!(broken(&skipped), []);
    let answered = [Begin, Answer(0, Outcome::Denied), Over(Outcome::Denied)];
    assert_eq!(broken(&answered), []);
    let made_good = [
        Begin,
        Start(0, 1),
        End(0, 1, Failed),
        Answer(0, Succeeded),
        Over(Succeeded),
    ];
    assert_eq!(broken(&made_good), []);
}

/// A story for each rule that breaks it, and perhaps others.
const BROKEN: [(Rule, &[Say]); 18] = [
    (
        Rule::AttemptsCount,
        &[Begin, Start(0, 2), End(0, 2, Succeeded), Over(Skipped)],
    ),
    (Rule::AttemptsEnd, &[Begin, Start(0, 1), Over(Cancelled)]),
    (
        Rule::CleanupsComeLast,
        &[
            Begin,
            Cleanup(0),
            Start(0, 1),
            End(0, 1, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::CleanupsComeLast,
        &[
            Begin,
            Start(0, 1),
            Cleanup(0),
            End(0, 1, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::EndingsAgree,
        &[Begin, Start(0, 1), End(0, 1, Cancelled), Over(Succeeded)],
    ),
    (Rule::EndingsAgree, &[Begin, Skip(1, 0), Over(Skipped)]),
    (
        Rule::EndsAreLast,
        &[
            Begin,
            Answer(0, Failed),
            Start(0, 1),
            End(0, 1, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::EndsAreLast,
        &[Begin, Answer(0, Failed), Answer(0, Failed), Over(Failed)],
    ),
    (
        Rule::EndsAreLast,
        &[
            Begin,
            Start(0, 1),
            Answer(0, Failed),
            End(0, 1, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::OneAttemptAtATime,
        &[
            Begin,
            Start(0, 1),
            Start(0, 2),
            End(0, 2, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::RunEndsOnce,
        &[Begin, Start(0, 1), End(0, 1, Succeeded)],
    ),
    (
        Rule::RunEndsOnce,
        &[Begin, Over(Cancelled), Over(Cancelled)],
    ),
    (
        Rule::RunStartsOnce,
        &[Start(0, 1), End(0, 1, Failed), Over(Failed)],
    ),
    (Rule::RunStartsOnce, &[Begin, Begin, Over(Cancelled)]),
    (
        Rule::SkippedNeverStart,
        &[
            Begin,
            Start(0, 1),
            End(0, 1, Skipped),
            Skip(1, 0),
            Start(1, 1),
            End(1, 1, Failed),
            Over(Failed),
        ],
    ),
    (
        Rule::StartBeforeEnd,
        &[Begin, End(0, 1, Failed), Over(Failed)],
    ),
    (Rule::StartBeforeEnd, &[Begin, Long(0), Over(Cancelled)]),
    (
        Rule::UpstreamFirst,
        &[
            Begin,
            Start(0, 1),
            Start(1, 1),
            End(0, 1, Succeeded),
            End(1, 1, Failed),
            Over(Failed),
        ],
    ),
];

#[test]
fn every_rule_notices_when_it_is_broken() {
    for (row, (rule, story)) in BROKEN.into_iter().enumerate() {
        let rules = broken(story);
        assert!(
            rules.contains(&rule),
            "row {row}: {rule:?} is not among {rules:?}"
        );
    }
}

#[test]
fn numbers_and_times_are_rules_too() {
    let gap = [
        Event::new(0, 0, kind(Begin)),
        Event::new(2, 0, kind(Over(Cancelled))),
    ];
    assert_eq!(broken_by(gap.into_iter()), [Rule::NoGaps]);
    let late = [
        Event::new(1, 0, kind(Begin)),
        Event::new(2, 0, kind(Over(Cancelled))),
    ];
    assert_eq!(broken_by(late.into_iter()), [Rule::NoGaps]);
    let back = [
        Event::new(0, 5, kind(Begin)),
        Event::new(1, 4, kind(Over(Cancelled))),
    ];
    assert_eq!(broken_by(back.into_iter()), [Rule::TimeGoesOn]);
}

#[test]
fn a_stage_needs_a_value_of_those_it_requires_and_an_end_of_those_it_does_not() {
    let begun = [
        Begin,
        Start(0, 1),
        End(0, 1, Succeeded),
        Start(1, 1),
        Start(2, 1),
    ];
    let ends = [Start(3, 1), End(3, 1, Succeeded), Over(Succeeded)];
    let with = |middle: &[Say]| broken(&[&begun, middle, &ends].concat());
    assert_eq!(
        with(&[End(1, 1, Succeeded), End(2, 1, Outcome::TimedOut)]),
        []
    );
    assert_eq!(
        with(&[End(1, 1, Failed), End(2, 1, Succeeded)]),
        [Rule::UpstreamFirst]
    );
    assert_eq!(
        with(&[End(1, 1, Skipped), End(2, 1, Succeeded)]),
        [Rule::UpstreamFirst]
    );
    assert_eq!(
        with(&[End(1, 1, Succeeded)]),
        [Rule::UpstreamFirst, Rule::AttemptsEnd]
    );
}

#[test]
fn an_error_names_each_rule_the_event_and_all_that_happened() {
    let header = header();
    let mut grammar = EventGrammar::new();
    for (seq, say) in (0..).zip([Begin, End(1, 1, Failed), Over(Failed)]) {
        grammar.observe(&Recorded::new(
            Arc::clone(&header),
            Event::new(seq, seq * 1_000, kind(say)),
        ));
    }
    let error = grammar.finish().unwrap_err();
    assert_eq!(error.violations().len(), 1);
    assert_eq!(error.transcript().len(), 3);
    let text = error.to_string();
    assert!(text.contains("StartBeforeEnd: #1"), "{text}");
    assert!(text.contains("stage.ended b attempt 1 failed"), "{text}");
    assert!(
        text.contains("#2          2\u{b5}s run.ended failed"),
        "{text}"
    );
}
