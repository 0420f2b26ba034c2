//! What is built and what is refused, held against another library's idea of a graph.

use std::collections::BTreeSet;

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use stageflow_context::StageName;
use stageflow_graph::{BuildError, ProblemKind};
use stageflow_testkit::Property;
use stageflow_testkit::wiring::{Wiring, broken, digraphs};

#[test]
fn a_wiring_is_built_if_and_only_if_it_has_no_circle() {
    Property::new("built if and only if acyclic")
        .cases(2_000)
        .holds_for(&digraphs(25), |wiring| {
            let sound = toposort(&graph(&wiring), None).is_ok();
            let built = wiring.build();
            prop_assert_eq!(built.is_ok(), sound, "{:?}", built.err());
            Ok(())
        });
}

#[test]
fn each_group_of_stages_that_wait_for_each_other_is_reported_once_with_a_real_circle() {
    Property::new("circles are real")
        .cases(2_000)
        .holds_for(&digraphs(25), |wiring| {
            let Err(error) = wiring.build() else {
                return Ok(());
            };
            check_circles(&wiring, &error)
        });
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_and_nothing_else() {
    Property::new("all problems at once")
        .cases(2_000)
        .holds_for(&broken(12), |wiring| {
            let wanted = wrong_names(&wiring);
            let found = match wiring.build() {
                Ok(_) => BTreeSet::new(),
                Err(error) => error
                    .problems()
                    .iter()
                    .filter_map(|problem| named(problem.kind()))
                    .collect(),
            };
            prop_assert_eq!(&found, &wanted);
            // Without other problems, circles decide.
            if wanted.is_empty() {
                prop_assert_eq!(
                    wiring.build().is_ok(),
                    toposort(&graph(&wiring), None).is_ok()
                );
            }
            Ok(())
        });
}

#[test]
fn whatever_is_wrong_every_problem_has_a_code_and_one_line_of_text() {
    Property::new("problems can be read")
        .cases(1_000)
        .holds_for(&broken(12), |wiring| {
            let Err(error) = wiring.build() else {
                return Ok(());
            };
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let text = problem.to_string();
                prop_assert!(text.starts_with(problem.code()), "{text}");
                prop_assert!(!text.contains('\n') && text.len() < 2_000, "{text}");
            }
            Ok(())
        });
}

/// The wiring as another library has it. Names that are not there, or there twice, make no edge.
fn graph(wiring: &Wiring) -> DiGraph<usize, ()> {
    let mut graph = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..wiring.stages.len())
        .map(|stage| graph.add_node(stage))
        .collect();
    for (stage, (_, upstream)) in wiring.stages.iter().enumerate() {
        for up in upstream {
            if let [up] = *wiring.places(up) {
                graph.add_edge(nodes[up], nodes[stage], ());
            }
        }
    }
    graph
}

fn check_circles(wiring: &Wiring, error: &BuildError) -> TestCaseResult {
    let graph = graph(wiring);
    let mut groups: Vec<BTreeSet<usize>> = kosaraju_scc(&graph)
        .into_iter()
        .map(|group| {
            group
                .into_iter()
                .map(|node| graph[node])
                .collect::<BTreeSet<usize>>()
        })
        .filter(|group| {
            group.len() > 1 || group.iter().any(|stage| waits_for(wiring, *stage, *stage))
        })
        .collect();
    prop_assert_eq!(error.problems().len(), groups.len(), "{:?}", error);
    for problem in error.problems() {
        let path = match problem.kind() {
            ProblemKind::Cycle { path } => path.clone(),
            ProblemKind::SelfDependency(name) => vec![name.clone(), name.clone()],
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let path: Vec<usize> = path.iter().map(|name| wiring.places(name)[0]).collect();
        prop_assert_eq!(path.first(), path.last());
        for step in path.windows(2) {
            prop_assert!(
                waits_for(wiring, step[1], step[0]),
                "{:?}: {} does not wait for {}",
                path,
                step[1],
                step[0]
            );
        }
        let inside: BTreeSet<usize> = path.iter().copied().collect();
        prop_assert_eq!(
            inside.len(),
            path.len() - 1,
            "a circle passes each of its stages once"
        );
        let group = groups.iter().position(|group| inside.is_subset(group));
        prop_assert!(
            group.is_some(),
            "{:?} is not inside one of {:?}",
            path,
            groups
        );
        groups.swap_remove(group.unwrap_or(0));
    }
    Ok(())
}

fn waits_for(wiring: &Wiring, stage: usize, up: usize) -> bool {
    wiring.stages[stage].1.contains(&wiring.stages[up].0)
}

/// What is wrong with the names of a wiring. What waits for a stage with a bad name is left out: it cannot be said whether
/// that stage is there.
fn wrong_names(wiring: &Wiring) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    let is_bad = |name: &str| name.parse::<StageName>().is_err();
    let is_there = |name: &str| !wiring.places(name).is_empty();
    for (name, upstream) in &wiring.stages {
        if is_bad(name) {
            wrong.insert(format!("bad {name:?}"));
        } else if wiring.places(name).len() > 1 {
            wrong.insert(format!("twice {name}"));
        }
        let missing = upstream.iter().filter(|up| !is_there(up));
        wrong.extend(missing.map(|up| format!("unknown {up:?}")));
    }
    if !is_there(&wiring.output) {
        wrong.insert(format!("output {:?}", wiring.output));
    }
    wrong
}

fn named(kind: &ProblemKind) -> Option<String> {
    match kind {
        ProblemKind::BadName(error) => Some(format!("bad {:?}", error.name())),
        ProblemKind::DuplicateName(name) => Some(format!("twice {name}")),
        ProblemKind::UnknownUpstream { upstream, .. } => Some(format!("unknown {upstream:?}")),
        ProblemKind::UnknownOutput { name, .. } => Some(format!("output {name:?}")),
        ProblemKind::Cycle { .. } | ProblemKind::SelfDependency(_) => None,
        other => Some(format!("{other:?}")),
    }
}
