//! Span ids, which everybody works out alike.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::prelude::*;
use stageflow_context::{
    CorrelationId, Part, RunId, RunIdentity, SeededIds, SpanId, StageIndex, Step, TraceId,
};

fn run(seed: u64) -> RunIdentity {
    RunIdentity::new(RunId::generate(&SeededIds::new(seed)))
}

/// A place in a run, written down in full: what an id stands for.
type Place = (u64, String);

fn part(within: Option<Arc<Part>>, during: u32, step: Step) -> Arc<Part> {
    Part::during_attempt(
        within,
        NonZeroU32::new(during).unwrap_or(NonZeroU32::MIN),
        step,
    )
}

/// Every span of a small run, with its place.
fn spans(seed: u64) -> Vec<(Place, SpanId)> {
    let run = run(seed);
    let mut all = vec![("run".to_owned(), run.run_span())];
    for stage in (0..4).map(StageIndex::new) {
        all.push((format!("stage {stage:?}"), run.stage_span(stage)));
        for attempt in 1..4 {
            let at = format!("{stage:?} try {attempt}");
            all.push((at.clone(), run.attempt_span(stage, attempt)));
            let steps = [
                Step::Item(0),
                Step::Item(1),
                Step::Round(1),
                Step::Named("a".into()),
                Step::Named("ab".into()),
            ];
            for step in steps {
                let outer = part(None, attempt, step.clone());
                let at = format!("{at} {step}");
                for tries in 0..3 {
                    let span = run.part_span(stage, &outer, tries);
                    all.push((format!("{at} try {tries}"), span));
                    let inner = part(Some(Arc::clone(&outer)), tries + 1, Step::Item(7));
                    let at = format!("{at} in {} try 1", tries + 1);
                    all.push((at, run.part_span(stage, &inner, 1)));
                }
            }
        }
    }
    all.extend((0..20).map(|n| (format!("operation {n}"), run.operation_span(n))));
    all.into_iter()
        .map(|(place, span)| ((seed, place), span))
        .collect()
}

#[test]
fn no_two_places_have_the_same_span() {
    let all: Vec<_> = (0..200).flat_map(spans).collect();
    let places: HashSet<_> = all.iter().map(|(place, _)| place).collect();
    let ids: HashSet<_> = all.iter().map(|(_, span)| span).collect();
    assert_eq!((places.len(), ids.len()), (all.len(), all.len()));
}

#[test]
fn a_span_is_the_same_whoever_works_it_out() {
    assert_eq!(spans(3), spans(3));
    // Written down by others: a change of these breaks the links between what was recorded before and after.
    let run = run(1);
    assert_eq!(
        [
            run.run_span(),
            run.stage_span(StageIndex::new(2)),
            run.attempt_span(StageIndex::new(2), 1)
        ]
        .map(|span| span.to_string()),
        ["3602d1623a69a046", "a108a84e1eb0e49e", "0628b38e8076375a"]
    );
}

#[test]
fn the_span_around_a_part_is_that_of_the_attempt_it_was_made_in() {
    let (run, stage) = (run(1), StageIndex::new(0));
    let outer = part(None, 2, Step::Item(0));
    let inner = part(Some(Arc::clone(&outer)), 3, Step::Round(1));
    assert_eq!(run.span_around(stage, &outer), run.attempt_span(stage, 2));
    assert_eq!(
        run.span_around(stage, &inner),
        run.part_span(stage, &outer, 3)
    );
    // It is the same place all the same.
    assert_eq!(outer, part(None, 1, Step::Item(0)));
}

proptest! {
    #[test]
    fn runs_of_one_cause_are_one_trace_unless_they_were_given_one(seed: u64, trace in 1_u128..) {
        let (one, other) = (run(seed), run(seed.wrapping_add(1)));
        prop_assert_ne!(one.trace(), other.trace());
        let cause: CorrelationId = one.correlation_id();
        prop_assert_eq!(other.clone().with_correlation_id(cause).trace(), one.trace());
        let given = TraceId::from_bytes(trace.to_be_bytes()).unwrap();
        prop_assert_eq!(other.with_trace_id(given).trace(), given);
    }
}
