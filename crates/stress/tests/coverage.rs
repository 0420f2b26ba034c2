//! What the suite covers, held against the tables and against the page that tells it.

use std::collections::BTreeSet;

use expect_test::expect_file;
use stageflow_stress::coverage::{self, Otherwise};
use stageflow_stress::{Registry, Scenario};

#[test]
fn everything_is_covered_or_says_why_not() {
    let gaps = coverage::gaps(&Registry::builtin());
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[test]
fn the_page_is_up_to_date() {
    expect_file!["../../../docs/stress/coverage.md"]
        .assert_eq(&coverage::page(&Registry::builtin()));
}

#[test]
fn the_tables_are_whole() {
    let (targets, modes, hooks) = (coverage::targets(), coverage::modes(), coverage::hooks());
    assert_eq!((targets.len(), modes.len(), hooks.len()), (85, 68, 42));
    let others = coverage::others();
    assert_eq!(targets.len() + hooks.len() + others.len(), 308);
    let ids: Vec<&str> = targets
        .iter()
        .map(|target| target.id)
        .chain(modes.iter().map(|mode| mode.id))
        .chain(hooks.iter().map(|hook| hook.id))
        .chain(others)
        .collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "two rows have the same id");
    for target in &targets {
        assert!(
            ["P0", "P1", "P2"].contains(&target.priority),
            "{}: priority {:?}",
            target.id,
            target.priority
        );
        let risks = ["catastrophic", "severe", "high", "moderate", "low"];
        assert!(
            risks.contains(&target.risk),
            "{}: {}",
            target.id,
            target.risk
        );
        assert!(!target.about.is_empty(), "{} says nothing", target.id);
    }
    for mode in &modes {
        assert!(!mode.about.is_empty(), "{} says nothing", mode.id);
    }
    for hook in &hooks {
        let states = ["there", "partly", "to come"];
        assert!(states.contains(&hook.state), "{}: {}", hook.id, hook.state);
    }
}

#[test]
fn a_row_without_a_scenario_needs_a_reason() {
    let nothing = Registry::empty();
    let gaps = coverage::gaps(&nothing);
    let without_reason = coverage::targets()
        .iter()
        .filter(|target| target.otherwise == Otherwise::Nothing)
        .count()
        + coverage::modes()
            .iter()
            .filter(|mode| mode.otherwise == Otherwise::Nothing)
            .count();
    assert_eq!(gaps.len(), without_reason);
    assert!(gaps.contains(&"no scenario names the failure mode D5".to_owned()));
}

#[test]
fn an_id_that_no_table_has_is_a_gap() {
    let typo = Scenario::new("U1-TYPO", "a typo")
        .targets(["CORE-01"])
        .modes(["D99"]);
    assert_eq!(
        coverage::gaps(&Registry::builtin().with(typo)),
        [
            "U1-TYPO names the target `CORE-01`, which no table has",
            "U1-TYPO names the failure mode `D99`, which no table has"
        ]
    );
}

#[test]
fn pending_is_never_shown_as_tried() {
    let registry = Registry::empty()
        .with(
            Scenario::new("U1-LATER", "later")
                .targets(["CORE-001"])
                .pending("time"),
        )
        .with(
            Scenario::new("U2-NOW", "now")
                .targets(["CORE-002"])
                .run(|_| Ok(())),
        );
    let page = coverage::page(&registry);
    let line = |id: &str| {
        page.lines()
            .find(|line| line.starts_with(&format!("| {id} |")))
            .unwrap()
            .to_owned()
    };
    assert!(line("CORE-001").contains("| **pending** | (U1-LATER) | needs time |"));
    assert!(line("CORE-002").contains("| tried | U2-NOW | – |"));
}

#[test]
fn what_still_needs_something_is_tried_in_part_at_most() {
    let target = coverage::targets()
        .into_iter()
        .find(|target| matches!(target.otherwise, Otherwise::Needs(_)))
        .unwrap();
    let now = Scenario::new("U1-NOW", "now")
        .targets([target.id])
        .run(|_| Ok(()));
    let page = coverage::page(&Registry::empty().with(now));
    let start = format!("| {} |", target.id);
    let line = page.lines().find(|line| line.starts_with(&start)).unwrap();
    assert!(line.contains("| in part | U1-NOW | needs "), "{line}");
}
