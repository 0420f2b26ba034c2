//! A pipeline that fails a test shrinks to the smallest one that does, and comes again with its seed.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use stageflow_context::Outcome;
use stageflow_testkit::Property;
use stageflow_testkit::dag::{Behaviour, DagSpec, DagTree, Dags};

fn everything() -> Dags {
    Dags::up_to(40)
        .ending_badly()
        .limited()
        .crowded()
        .placed_anywhere()
        .interrupted()
}

/// The smallest pipeline that the tree can find for which this holds.
fn smallest(mut tree: DagTree, holds: impl Fn(&DagSpec) -> bool) -> DagSpec {
    if tree.simplify() {
        loop {
            let goes_on = if holds(&tree.current()) {
                tree.simplify()
            } else {
                tree.complicate()
            };
            if !goes_on {
                break;
            }
        }
    }
    tree.current()
}

fn trees() -> impl Iterator<Item = DagTree> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..200).map(move |_| everything().new_tree(&mut runner).unwrap())
}

#[test]
fn a_failure_shrinks_to_one_stage_that_fails_at_once() {
    let fails = |spec: &DagSpec| spec.predict().outcome == Outcome::Failed;
    let failing: Vec<DagTree> = trees().filter(|tree| fails(&tree.current())).collect();
    assert!(failing.len() > 20, "{}", failing.len());
    for tree in failing {
        let spec = smallest(tree, fails);
        assert_eq!(spec.len(), 1, "{spec:?}");
        assert!(
            spec.slots.is_none() && spec.interruption.is_none(),
            "{spec:?}"
        );
    }
}

#[test]
fn a_chain_shrinks_to_the_stages_that_matter() {
    // Something that is only wrong with a stage that waits for one that waits for one.
    let deep = |spec: &DagSpec| {
        spec.stages.iter().any(|stage| {
            stage
                .upstream
                .iter()
                .any(|up| !spec.stages[*up].upstream.is_empty())
        })
    };
    for tree in trees().filter(|tree| deep(&tree.current())) {
        let spec = smallest(tree, deep);
        assert_eq!(spec.len(), 3, "{spec:?}");
        let edges: usize = spec.stages.iter().map(|stage| stage.upstream.len()).sum();
        assert_eq!(edges, 2, "{spec:?}");
        assert!(
            spec.stages
                .iter()
                .all(|stage| stage.delay == 0 && stage.behaviour == Behaviour::Ok),
            "{spec:?}"
        );
    }
}

#[test]
fn what_shrinks_is_a_pipeline_at_every_step() {
    for tree in trees().take(50) {
        let steps = std::cell::Cell::new(0);
        smallest(tree, |spec| {
            steps.set(steps.get() + 1);
            assert!(!spec.stages[spec.output].optional);
            for (at, stage) in spec.stages.iter().enumerate() {
                assert!(stage.upstream.iter().all(|up| *up < at), "{spec:?}");
                assert_ne!(stage.limit, Some(stage.delay));
            }
            steps.get() % 3 == 0
        });
    }
}

#[test]
fn a_seed_gives_the_same_pipeline_again() {
    Property::new("seeds repeat")
        .cases(100)
        .holds_for(&any::<u64>(), |seed| {
            prop_assert_eq!(everything().draw(seed), everything().draw(seed));
            prop_assert!(everything().draw(seed).len() <= 40);
            Ok(())
        });
}

#[test]
fn a_property_that_fails_names_the_case_and_the_seed() {
    let failing = std::panic::catch_unwind(|| {
        Property::new("all pipelines are small")
            .cases(50)
            .holds_for(&Dags::up_to(40), |spec| {
                prop_assert!(spec.len() < 5, "{} stages", spec.len());
                Ok(())
            });
    });
    let payload = failing.unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(
        text.starts_with("not so: all pipelines are small\n  because: 5 stages"),
        "{text}"
    );
    assert!(text.contains("for: 5 stages, the output is s"), "{text}");
    assert!(text.contains("repeat it with STAGEFLOW_SEED="), "{text}");
}
