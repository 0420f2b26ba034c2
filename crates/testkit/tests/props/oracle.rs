//! The oracle says what a person with a pencil would say.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use stageflow_context::Outcome;
use stageflow_graph::Placement;
use stageflow_testkit::Property;
use stageflow_testkit::dag::{Behaviour, DagSpec, Dags, Interruption, StageSpec};
use stageflow_testkit::oracle::{Natural, Prediction, Tie};

fn ok(delay: u32) -> StageSpec {
    StageSpec::ok().taking(delay)
}

fn starts(prediction: &Prediction) -> Vec<Option<u64>> {
    prediction
        .stages
        .iter()
        .map(|stage| stage.started)
        .collect()
}

fn outcomes(prediction: &Prediction) -> Vec<Outcome> {
    prediction
        .stages
        .iter()
        .map(|stage| stage.outcome)
        .collect()
}

#[test]
fn there_are_no_barriers() {
    let prediction = DagSpec::new(vec![
        ok(10),
        ok(100),
        ok(10).after([0]),
        ok(1).after([1, 2]),
    ])
    .predict();
    assert_eq!(starts(&prediction), [Some(0), Some(0), Some(10), Some(100)]);
    assert_eq!((prediction.ended, prediction.peak), (101, 2));
}

#[test]
fn a_slot_goes_to_the_stage_that_has_been_ready_longest() {
    let spec = DagSpec::new(vec![
        ok(5),
        ok(20),
        ok(1).after([0]),
        ok(1),
        ok(1).after([2, 3]),
    ]);
    let prediction = spec
        .slots(const { NonZeroUsize::new(2).unwrap() })
        .predict();
    assert_eq!(
        starts(&prediction),
        [Some(0), Some(0), Some(6), Some(5), Some(7)]
    );
    assert_eq!(prediction.starts, [0, 1, 3, 2, 4]);
    assert_eq!(prediction.peak, 2);
}

#[test]
fn a_failure_stops_everything_at_once_and_keeps_what_was_given() {
    let fail = StageSpec::new(Behaviour::Fail).taking(7);
    let prediction = DagSpec::new(vec![
        ok(3),
        fail,
        ok(50),
        ok(1).after([0, 1]),
        ok(0).after([2, 3]),
    ])
    .predict();
    let expected = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Cancelled,
        Outcome::Cancelled,
    ];
    assert_eq!(outcomes(&prediction), expected);
    assert_eq!(
        (prediction.outcome, prediction.ended, prediction.errors),
        (Outcome::Failed, 7, vec![1])
    );
    assert_eq!(prediction.stages[2].ended, Some(7));
    assert_eq!(prediction.stages[3].started, None);
    assert!(prediction.stages[0].value.is_some());
}

#[test]
fn a_skip_goes_on_to_what_needs_it_and_stops_at_what_does_not() {
    let spec = DagSpec::new(vec![
        StageSpec::new(Behaviour::Skip),
        ok(0).after([0]).optional(),
        ok(4).after([1]),
        ok(0).after([0]),
        ok(0).after([2]),
    ]);
    let prediction = spec.predict();
    let skipped = Outcome::Skipped;
    assert_eq!(
        outcomes(&prediction),
        [
            skipped,
            skipped,
            Outcome::Succeeded,
            skipped,
            Outcome::Succeeded
        ]
    );
    assert_eq!(prediction.stages[3].because, Some(0));
    assert_eq!(
        prediction.stages[4].value,
        Some(spec.value(4, &[Some(spec.value(2, &[None]))]))
    );
}

#[test]
fn limits_and_interruptions_end_stages_in_time() {
    let slow = ok(30).limited(9).optional();
    let prediction = DagSpec::new(vec![slow.clone(), ok(1).after([0])]).predict();
    assert_eq!(
        outcomes(&prediction),
        [Outcome::TimedOut, Outcome::Succeeded]
    );
    assert_eq!((prediction.ended, prediction.errors), (10, vec![0]));
    for (interruption, outcome) in [
        (Interruption::CancelAfter(4), Outcome::Cancelled),
        (Interruption::Deadline(4), Outcome::TimedOut),
    ] {
        let prediction = DagSpec::new(vec![slow.clone(), ok(1).after([0])])
            .interrupted(interruption)
            .predict();
        assert_eq!((prediction.outcome, prediction.ended), (outcome, 4));
    }
}

#[test]
fn what_the_rules_leave_open_is_called_a_tie() {
    let spec = DagSpec::new(vec![ok(5), ok(5), ok(1).after([0, 1])]);
    assert_eq!(spec.predict().ties, [Tie::Stage(1)]);
    assert_eq!(spec.clone().untied().predict().ties, []);
    assert_eq!(spec.untied().stages[1].delay, 6);
    let spawned = DagSpec::new(vec![
        ok(0).placed(Placement::Spawn),
        StageSpec::new(Behaviour::Fail),
    ]);
    assert_eq!(spawned.predict().ties, [Tie::Stage(0)]);
    let interrupted = DagSpec::new(vec![ok(5)]).interrupted(Interruption::Deadline(5));
    assert_eq!(interrupted.predict().ties, [Tie::Interruption]);
}

fn everything() -> Dags {
    Dags::up_to(30)
        .delays(500)
        .ending_badly()
        .limited()
        .crowded()
        .placed_anywhere()
}

#[test]
fn an_untied_pipeline_has_no_ties_and_is_left_alone_by_untying() {
    Property::new("untying takes away all ties")
        .cases(300)
        .holds_for(&everything().interrupted(), |spec| {
            let untied = spec.untied();
            prop_assert_eq!(untied.predict().ties, vec![]);
            prop_assert_eq!(untied.clone().untied(), untied);
            Ok(())
        });
}

#[test]
fn the_two_oracles_agree_where_they_say_the_same_thing() {
    Property::new("the oracles agree")
        .cases(500)
        .holds_for(&everything(), |spec| {
            let (prediction, natural) = (spec.predict(), spec.natural());
            prop_assert!(spec.natural_outcomes().contains(&prediction.outcome));
            let stopped = natural
                .iter()
                .any(|natural| matches!(natural, Natural::Stops(_)));
            for (stage, natural) in prediction.stages.iter().zip(natural) {
                let cancelled = stopped && stage.outcome == Outcome::Cancelled;
                prop_assert!(
                    cancelled || stage.outcome == natural.outcome(),
                    "{:?} and {:?}",
                    stage,
                    natural
                );
                if let (Natural::Value(value), Some(predicted)) = (natural, stage.value) {
                    prop_assert_eq!(value, predicted);
                }
            }
            Ok(())
        });
}

#[test]
fn a_pipeline_is_the_same_in_any_order_of_declaration_while_there_are_slots() {
    let cases = (
        Dags::up_to(30).delays(500).ending_badly().limited(),
        any::<u64>(),
    );
    Property::new("the order of declaration does not matter")
        .cases(300)
        .holds_for(&cases, |(spec, order)| {
            let spec = spec.untied();
            let shuffled = spec.shuffled(order);
            let (one, other) = (spec.predict(), shuffled.predict());
            // What is first among things that take no time does depend on it, so only runs that complete can be compared.
            if [one.outcome, other.outcome].contains(&Outcome::Failed)
                || one.outcome == Outcome::Cancelled
            {
                return Ok(());
            }
            prop_assert_eq!((one.outcome, one.ended), (other.outcome, other.ended));
            for (at, stage) in one.stages.iter().enumerate() {
                let there = shuffled
                    .stages
                    .iter()
                    .position(|other| other.id == spec.stages[at].id)
                    .unwrap();
                let other = other.stages[there];
                prop_assert_eq!(
                    (stage.outcome, stage.started, stage.value),
                    (other.outcome, other.started, other.value)
                );
            }
            Ok(())
        });
}
