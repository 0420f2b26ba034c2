//! The playbook has a section for each scenario, and none for what is not there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::expect_file;
use stageflow_stress::{Registry, Scenario};

const PLAYBOOK: &str = include_str!("../../../docs/stress/playbook.md");
/// What stands above it in a section comes from the registry, what stands below is kept.
const BY_HAND: &str = "<!-- by hand -->";

/// The lines of the part about scenarios, without its heading.
fn scenarios_part(page: &str) -> (usize, usize) {
    let start = page.find("\n## Scenarios\n").unwrap() + "\n## Scenarios\n".len();
    let end = page[start..].find("\n## ").unwrap() + start;
    (start, end)
}

fn section_ids(page: &str) -> Vec<&str> {
    let (start, end) = scenarios_part(page);
    page[start..end]
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect()
}

#[test]
fn every_scenario_that_can_be_run_has_a_section_and_no_section_is_of_another() {
    let registry = Registry::builtin();
    let sections = section_ids(PLAYBOOK);
    for id in &sections {
        assert!(registry.get(id).is_some(), "`{id}` is no scenario");
    }
    let distinct: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        sections.len(),
        "two sections of one scenario"
    );
    for scenario in registry
        .iter()
        .filter(|scenario| scenario.needs().is_none())
    {
        assert!(
            distinct.contains(scenario.id()),
            "docs/stress/playbook.md has no section `### {}`",
            scenario.id()
        );
    }
}

#[test]
fn the_scenarios_that_incidents_name_are_there() {
    let registry = Registry::builtin();
    let (_, end) = scenarios_part(PLAYBOOK);
    let mut named = 0;
    for word in PLAYBOOK[end..].split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let looks_like_one = word.contains('-')
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word[1..].starts_with(|c: char| c.is_ascii_digit());
        if looks_like_one {
            assert!(registry.get(word).is_some(), "`{word}` is no scenario");
            named += 1;
        }
    }
    assert!(named >= 8, "the incidents name {named} scenarios");
}

#[test]
fn what_the_registry_says_is_up_to_date() {
    expect_file!["../../../docs/stress/playbook.md"].assert_eq(&filled(PLAYBOOK));
}

/// The page with what the registry says of each scenario put above what is written by hand.
fn filled(page: &str) -> String {
    let registry = Registry::builtin();
    let (start, end) = scenarios_part(page);
    let mut filled = page[..start].to_owned();
    let mut sections = page[start..end].split("\n### ");
    filled.push_str(sections.next().unwrap());
    for section in sections {
        let id = section.lines().next().unwrap();
        let by_hand = section
            .split_once(BY_HAND)
            .unwrap_or_else(|| panic!("the section of {id} has no line `{BY_HAND}`"))
            .1;
        let said = registry.get(id).map(said).unwrap_or_default();
        write!(filled, "\n### {id}\n\n{said}{BY_HAND}{by_hand}").unwrap();
    }
    filled + &page[end..]
}

fn said(scenario: &Scenario) -> String {
    let mut said = format!("**{}.**", capital(scenario.title()));
    if !scenario.claim().is_empty() {
        write!(said, " Proves: {}.", scenario.claim()).unwrap();
    }
    said.push_str("\n\n");
    if let Some(needs) = scenario.needs() {
        write!(said, "It cannot be run yet: it needs {needs}.\n\n").unwrap();
        return said;
    }
    let id = scenario.id();
    write!(
        said,
        "`cargo xtask stress --only {id} --seed S --trial K`\n\n"
    )
    .unwrap();
    if !scenario.controls().is_empty() {
        said.push_str("| control | what it breaks |\n|---|---|\n");
        for control in scenario.controls() {
            writeln!(said, "| `{}` | {} |", control.name, control.breaks).unwrap();
        }
        said.push('\n');
    }
    said
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
        .unwrap_or_default()
}
