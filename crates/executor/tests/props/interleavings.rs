//! Every interleaving of every small pipeline.
//!
//! At each step the machine is told one of the things that can happen next: any running stage ends in any way, or somebody
//! cancels the run. After each the machine must want exactly what the model says.

use std::num::NonZeroUsize;

use stageflow_executor::machine::{Effect, Input, RunMachine, StageEnd, Tick};
use stageflow_graph::Plan;

use crate::graphs::Graph;
use crate::model::Model;

const ENDS: [StageEnd; 6] = [
    StageEnd::Succeeded,
    StageEnd::Skipped,
    StageEnd::Failed,
    StageEnd::CancelledRun,
    StageEnd::Denied,
    StageEnd::Interrupted,
];

const SLOTS: [usize; 3] = [1, 2, usize::MAX];

#[test]
fn all_pipelines_of_three_stages_go_right_whatever_happens() {
    for graph in Graph::all(3) {
        explore_with_all_options(graph, usize::MAX);
    }
}

#[test]
fn all_pipelines_of_four_stages_go_right_whatever_two_stages_do() {
    for graph in Graph::all(4) {
        explore_with_all_options(graph, if thorough() { usize::MAX } else { 2 });
    }
}

#[test]
fn all_pipelines_of_five_stages_go_right_whatever_one_stage_does() {
    for graph in Graph::all(5) {
        if thorough() {
            explore_with_all_options(graph, 2);
            continue;
        }
        for optional in [0, 0b01010, 0b11111] {
            explore(graph.optional(optional), 1);
        }
    }
}

/// With many cases to try there is time for the long way.
fn thorough() -> bool {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .is_some_and(|cases: u32| cases >= 10_000)
}

fn explore_with_all_options(graph: Graph, deviations: usize) {
    for optional in 0..1 << graph.count {
        explore(graph.optional(optional), deviations);
    }
}

/// Goes all ways in which at most so many stages do anything but succeed.
fn explore(graph: Graph, deviations: usize) {
    let plan = graph.plan();
    for slots in SLOTS {
        let mut path = Path {
            graph: &graph,
            plan: &plan,
            slots,
            inputs: Vec::new(),
            effects: Vec::new(),
        };
        path.go(Model::new(&graph, slots), Input::Begin, deviations);
    }
}

/// What the machine was told so far.
struct Path<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    slots: usize,
    inputs: Vec<Input>,
    effects: Vec<Effect>,
}

impl<'a> Path<'a> {
    /// Takes one more step, and from there all ways on.
    fn go(&mut self, mut model: Model<'_>, input: Input, deviations: usize) {
        self.inputs.push(input);
        let before = model;
        let wanted = model.take(input);
        let machine = self.replay();
        let agree = wanted.is(&self.effects)
            && machine.running() == model.running.count_ones() as usize
            && machine.verdict() == model.verdict
            && self
                .graph
                .stages()
                .all(|stage| machine.is_running(stage as u32) == model.is_running(stage));
        assert!(
            agree,
            "{:?}, {} slots, told {:?}: wants {:?}, should want {wanted:?}; before: {before:?}",
            self.graph, self.slots, self.inputs, self.effects
        );
        if model.running == 0 {
            self.is_over(machine);
        } else if model.verdict.is_none() {
            self.all_ways_on(model, deviations);
        } else {
            self.wind_down(model);
        }
        self.inputs.pop();
    }

    fn all_ways_on(&mut self, model: Model<'_>, deviations: usize) {
        for stage in self.graph.stages().filter(|stage| model.is_running(*stage)) {
            let ends = if deviations == 0 {
                &ENDS[..1]
            } else {
                &ENDS[..]
            };
            for end in ends.iter().copied() {
                let left = deviations - usize::from(end != StageEnd::Succeeded);
                self.go(
                    model,
                    Input::Ended {
                        stage: stage as u32,
                        end,
                    },
                    left,
                );
            }
        }
        self.go(model, Input::Cancel, deviations);
    }

    /// Once the run is stopped nothing may start, however those that run end: in turn they are interrupted, succeed all the
    /// same, skip or fail.
    fn wind_down(&mut self, model: Model<'_>) {
        let ends = [
            StageEnd::Interrupted,
            StageEnd::Succeeded,
            StageEnd::Skipped,
            StageEnd::Failed,
        ];
        let end = ends[(self.inputs.len() + model.running.count_ones() as usize) % ends.len()];
        let last = 7 - model.running.leading_zeros();
        self.go(model, Input::Ended { stage: last, end }, 0);
    }

    /// A machine that was told all this. The effects of the last input are kept.
    fn replay(&mut self) -> RunMachine<'a> {
        let slots = NonZeroUsize::new(self.slots).unwrap();
        let mut machine = RunMachine::new(self.plan, slots, None);
        for input in &self.inputs {
            self.effects.clear();
            machine.on(*input, Tick::ZERO);
            while let Some(effect) = machine.next_effect() {
                self.effects.push(effect);
            }
        }
        machine
    }

    /// After the end the machine wants nothing more, whatever it is told.
    fn is_over(&self, mut machine: RunMachine<'_>) {
        for stage in self.graph.stages() {
            let end = ENDS[stage % ENDS.len()];
            machine.on(
                Input::Ended {
                    stage: stage as u32,
                    end,
                },
                Tick::ZERO,
            );
        }
        machine.on(Input::Cancel, Tick::ZERO);
        machine.on(Input::Tick, Tick::ZERO);
        assert_eq!(machine.next_effect(), None, "after {:?}", self.inputs);
    }
}
