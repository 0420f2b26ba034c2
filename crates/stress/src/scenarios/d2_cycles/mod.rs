//! Cycles are found, and nothing else is taken for one.

mod digraph;

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::Value;
use stageflow::context::StageCx;
use stageflow::graph::{NamedInputs, Pipeline, stage_fn};
use tokio::time::Instant;

use self::digraph::{Digraph, Told, told};
use crate::{Breach, Control, Lab, LabError, Op, Scenario, Seed, Theme, Tier};

const FALSE_POSITIVE: &str = "what has no circle is built";
const FALSE_NEGATIVE: &str = "what has a circle is refused";
const WITNESS: &str = "each circle is told once, and is a real one";

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "D2-CYCLES",
        "cycles are found, and nothing else is taken for one",
    )
    .proves("a wiring by name is built if and only if it has no circle; each group of stages in one is told once, with a real closed walk, at any depth and in time in proportion to its size")
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-001"])
    .modes(["D1", "D2", "D3", "D11"])
    .expected(Duration::from_secs(6))
    .control(Control::own("blind", "one planted circle in 1000 is cut before the builder sees it"))
    .control(Control::own("phantom", "one DAG in 1000 is given an arrow that makes a circle of it"))
    .control(Control::own("false-witness", "one circle in 1000 is told with a stage that is not in it"))
    .control(Control::own("one-of-many", "of several circles only the first is told"))
    .control(Control::own("slow-build", "building looks at all stages for each stage"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    named_shapes(lab);
    embedded(lab)?;
    random(lab)?;
    if !lab.is_control() {
        deep(lab);
    }
    scaling(lab);
    Ok(())
}

/// The shapes that are easily forgotten.
fn named_shapes(lab: &mut Lab) {
    let mut shapes = Vec::new();
    for length in [1, 2, 3, 10_000] {
        let mut ring = Digraph(vec![Vec::new(); length]);
        ring.ring(&(0..length).collect::<Vec<usize>>());
        shapes.push((format!("a circle of {length}"), ring));
    }
    // Two circles, a stage that waits for itself, a bridge between them, and a sound part beside them.
    let mut several = Digraph(vec![Vec::new(); 20]);
    several.ring(&[1, 2, 3]);
    several.ring(&[5, 4]);
    several.ring(&[7]);
    several.0[4].push(3);
    several.0[10].extend([8, 9]);
    shapes.push(("several groups".to_owned(), several));
    // Two circles through one stage are one group.
    let mut eight = Digraph(vec![Vec::new(); 7]);
    eight.ring(&[0, 1, 2]);
    eight.ring(&[0, 3, 4]);
    shapes.push(("an eight".to_owned(), eight));
    // The circle is in a part that nothing else has to do with, and behind everything.
    let mut apart = Digraph(
        (0..50_usize)
            .map(|at| (at.saturating_sub(1)..at).collect())
            .collect(),
    );
    apart.0[40].clear();
    apart.ring(&[49, 45]);
    shapes.push(("a circle apart".to_owned(), apart));
    for (name, shape) in shapes {
        check(lab, &shape, &shape, &name);
        lab.count_trials(1);
    }
}

/// Builds a graph and holds what is said against the oracle. What the builder is given may be broken.
fn check(lab: &Lab, graph: &Digraph, given: &Digraph, name: &str) -> bool {
    let circles = graph.groups().len();
    let (first, second) = (given.build(), given.build());
    let (first, second) = (first.map(drop), second.map(drop));
    let same = lab.check(
        first == second,
        "the same graph is refused in the same words",
        Breach::WrongStatus,
        || name.to_owned(),
    );
    let error = match (first, circles) {
        (Ok(()), 0) => return same,
        (Ok(()), _) => {
            return lab.check(false, FALSE_NEGATIVE, Breach::WrongStatus, || {
                format!("{name}: {circles} circles were overlooked")
            });
        }
        (Err(error), 0) => {
            return lab.check(false, FALSE_POSITIVE, Breach::WrongStatus, || {
                format!("{name}: {error}")
            });
        }
        (Err(error), _) => error,
    };
    let judged = told(&error).and_then(|mut said| {
        spoil(lab, &mut said);
        graph.judge(&said)
    });
    lab.check(judged.is_ok(), WITNESS, Breach::WrongStatus, || {
        let text: String = error.to_string().chars().take(300).collect();
        format!("{name}: {}; {text}", judged.err().unwrap_or_default())
    })
}

/// What a broken builder would say.
fn spoil(lab: &Lab, said: &mut Vec<Told>) {
    if lab.is_broken("one-of-many") {
        said.truncate(1);
    }
    let lies = lab.is_broken("false-witness") && lab.witness.trial % 1000 == 998;
    if let Some(first) = said.first_mut().filter(|_| lies) {
        let stranger = first
            .path
            .iter()
            .max()
            .map_or(0, |most| most.saturating_sub(1));
        first.path.insert(1, stranger);
    }
}

/// Ten thousand graphs with circles, and ten thousand without.
fn random(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(20_000);
    let mut arrows = 0;
    lab.trials(count, |lab, trial| {
        let mut rng = trial.seed.rng();
        let stages = rng.random_range(1..=40);
        let mut graph = Digraph::acyclic(&mut rng, stages);
        let sound = graph.clone();
        let planted = trial.index.is_multiple_of(2);
        if planted {
            for _ in 0..rng.random_range(1..=3) {
                let length = rng.random_range(1..=stages.min(7));
                graph.plant(&mut rng, length);
            }
        }
        let mut given = graph.clone();
        if lab.is_broken("blind") && trial.index % 1000 == 998 {
            given.clone_from(&sound);
        }
        if lab.is_broken("phantom") && trial.index % 1000 == 999 {
            given.plant(&mut rng, stages.min(2));
        }
        arrows += graph.arrows();
        if check(
            lab,
            &graph,
            &given,
            &format!("random graph {}", trial.index),
        ) {
            return Ok(());
        }
        lab.show(
            "the graph, as rows of what each stage waits for",
            format!("{:?}", graph.0),
        );
        Ok(())
    })?;
    lab.metric("graphs", "count", count as f64);
    lab.metric("arrows", "count", arrows as f64);
    Ok(())
}

/// Pipelines inside pipelines: handles point backwards, so whatever is put together has no circle.
fn embedded(lab: &mut Lab) -> Result<(), LabError> {
    let mut rng = lab.seed().named("embedded").rng();
    let inner = Digraph::acyclic(&mut rng, 30)
        .build()
        .map_err(LabError::new)?;
    let mut p = Pipeline::builder::<Value>("outer");
    let mut last = p.input::<Value>();
    for part in 0..20 {
        last = p.embed(format!("part{part}"), &inner).after(last);
    }
    let outer = p.output(last).build();
    let sound = outer.as_ref().is_ok_and(|outer| {
        let plan = outer.plan();
        let row = |stage| {
            let slots = plan.upstream(stage).iter().map(|slot| *slot as usize);
            slots.filter(|slot| *slot < plan.len()).collect()
        };
        let graph = Digraph((0..plan.len()).map(row).collect());
        plan.len() == 600 && graph.groups().is_empty()
    });
    lab.check(
        sound,
        "pipelines in pipelines are built, without circles",
        Breach::WrongStatus,
        || format!("{:?}", outer.map(drop)),
    );
    // By name the outer one can be wrong, and says so as ever.
    let mut p = Pipeline::by_name("outer");
    let work = || stage_fn(async |_cx: StageCx, _: NamedInputs| Ok(Value::Null));
    p.stage("a/x", work()).after(["b/x"]);
    p.stage("b/x", work()).after(["a/x"]);
    let refused = p.output("a/x").build().map(drop);
    lab.check(
        refused
            .as_ref()
            .is_err_and(|error| error.code() == "SF0105"),
        "a circle through two parts is found",
        Breach::WrongStatus,
        || format!("{refused:?}"),
    );
    lab.count_trials(2);
    Ok(())
}

/// A hundred thousand stages in a row, last one first, on a small stack; then the same with its ends tied together.
fn deep(lab: &mut Lab) {
    const DEEP: usize = 100_000;
    const STACK: usize = 256 * 1024;
    let work = || -> Result<(), String> {
        let mut graph = Digraph(
            (1..=DEEP)
                .map(|next| (next..DEEP.min(next + 1)).collect())
                .collect(),
        );
        graph.build().map_err(|error| error.to_string())?;
        graph.0[DEEP - 1].push(0);
        match graph.build() {
            Ok(_) => Err("its circle was overlooked".to_owned()),
            Err(error) => graph.judge(&told(&error)?),
        }
    };
    let name = "a small stack".to_owned();
    let ended = thread::Builder::new()
        .name(name)
        .stack_size(STACK)
        .spawn(work);
    let ended = ended.map(thread::JoinHandle::join);
    lab.check(
        matches!(ended, Ok(Ok(Ok(())))),
        "depth takes no stack",
        Breach::Death,
        || format!("{ended:?}"),
    );
    lab.count_trials(2);
    lab.metric("max_stack_bytes", "bytes", STACK as f64);
}

/// How building grows, with a circle and without one. Sizes take turns, and the least of all times counts.
fn scaling(lab: &mut Lab) {
    let (rounds, sizes) = if lab.is_control() {
        (3, [500, 1000, 2000, 4000, 8000])
    } else {
        (7, [1_000, 2_500, 6_250, 15_625, 39_063])
    };
    for circle in [false, true] {
        if lab.is_over() {
            return;
        }
        let graphs: Vec<Digraph> = sizes
            .iter()
            .map(|stages| sized(lab.seed().child(*stages as u64), *stages, circle))
            .collect();
        let names: Vec<String> = (0..sizes[4]).map(|stage| format!("s{stage}")).collect();
        let mut least = vec![f64::INFINITY; graphs.len()];
        for _ in 0..rounds {
            for (least, graph) in least.iter_mut().zip(&graphs) {
                let started = Instant::now();
                let refused = graph.build_as(&names).is_err();
                if lab.is_broken("slow-build") {
                    scan(graph.0.len());
                }
                *least = least.min(started.elapsed().as_nanos() as f64);
                lab.check(
                    refused == circle,
                    "large graphs are judged as small ones",
                    Breach::WrongStatus,
                    || format!("{} stages", graph.0.len()),
                );
                lab.count_trials(1);
            }
        }
        let size = |graph: &Digraph| (graph.0.len() + graph.arrows()) as f64;
        let points: Vec<[f64; 2]> = graphs
            .iter()
            .zip(&least)
            .map(|(graph, ns)| [size(graph), *ns])
            .collect();
        let kind = if circle { "refused" } else { "built" };
        let (exponent, cost) = (format!("{kind}_exponent"), format!("{kind}_ns_per_edge"));
        lab.scaling(&exponent, "ns", &points);
        lab.law(&exponent, Op::AtMost, 1.10);
        if let (Some(graph), Some(ns)) = (graphs.last(), least.last()) {
            lab.metric(&cost, "ns", ns / graph.arrows() as f64);
            // At most a second for a million arrows.
            lab.gate(&cost, Op::AtMost, 1000.0);
        }
    }
}

/// Each stage waits for some of the next few, so that size is all that differs: larger ones do not miss the caches more.
fn sized(seed: Seed, stages: usize, circle: bool) -> Digraph {
    let mut rng = seed.rng();
    let mut row = |stage: usize| -> Vec<usize> {
        let next = (stage + 1..stages).take(10);
        next.filter(|_| rng.random_ratio(1, 2)).collect()
    };
    let mut graph = Digraph((0..stages).map(&mut row).collect());
    if circle {
        graph.ring(&(0..stages / 2).rev().collect::<Vec<usize>>());
    }
    graph
}

/// What a builder would do that looks around.
fn scan(stages: usize) {
    let all: Vec<u32> = (0..stages as u32).collect();
    for stage in 0..stages as u32 {
        let found = all
            .iter()
            .filter(|other| black_box(**other) == stage)
            .count();
        black_box(found);
    }
}
