//! Programs as pipelines.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{StageCx, Stop};
use stageflow_graph::{
    BuildError, Handle, IsRequired, Pipeline, PipelineBuilder, Presence, Route, Stage, StageBuilder,
};

use super::{Act, End, Node, Program, default_value, value};

/// The arms of every route.
#[derive(Route)]
#[route(crate = "stageflow_graph")]
enum Way {
    A(u64),
    B(u64),
    C(u64),
}

type List = Vec<Arc<u64>>;
type Input = (
    Vec<Arc<u64>>,
    Vec<Arc<Option<u64>>>,
    Vec<Arc<List>>,
    Arc<u64>,
);
type Wires = (
    Vec<Handle<u64>>,
    Vec<Handle<Option<u64>>>,
    Vec<Handle<List>>,
    Handle<u64>,
);

#[derive(Clone, Copy)]
enum Given {
    List(Handle<List>),
    Optional(Handle<Option<u64>>),
    Plain(Handle<u64>),
}

struct Played {
    at: usize,
    act: Act,
}

impl Stage for Played {
    type Input = Input;
    type Output = u64;

    async fn run(&self, _cx: StageCx, input: Input) -> Result<u64, Stop> {
        let (plain, optional, lists, _) = input;
        if self.act.after > 0 {
            tokio::time::sleep(Duration::from_millis(self.act.after)).await;
        }
        let plain: Vec<u64> = plain.iter().map(|value| **value).collect();
        let optional: Vec<Option<u64>> = optional.iter().map(|value| **value).collect();
        let lists: Vec<Vec<u64>> = lists
            .iter()
            .map(|list| list.iter().map(|value| **value).collect())
            .collect();
        match self.act.end {
            End::Gives => Ok(value(self.at, &plain, &optional, &lists)),
            End::Fails => Err(Stop::fail("it was to fail")),
            End::Panics => resume_unwind(Box::new("it was to panic")),
            End::Skips => Err(Stop::skip(format!("stage {} has nothing to do", self.at))),
            End::CancelsRun => Err(Stop::cancel("it was to cancel the run")),
        }
    }
}

/// The same, with the arms it takes.
struct Chooses {
    played: Played,
    takes: Vec<u32>,
}

impl Stage for Chooses {
    type Input = Input;
    type Output = Vec<Way>;

    async fn run(&self, cx: StageCx, input: Input) -> Result<Vec<Way>, Stop> {
        let value = self.played.run(cx, input).await?;
        let way = |arm: &u32| match arm {
            0 => Way::A(value),
            1 => Way::B(value ^ 1),
            _ => Way::C(value ^ 2),
        };
        Ok(self.takes.iter().map(way).collect())
    }
}

impl Program {
    /// The pipeline. Its input does not matter.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the program was written by hand, and cannot be.
    pub fn pipeline(&self) -> Result<Pipeline<u64, Vec<Arc<u64>>>, BuildError> {
        let mut p = Pipeline::builder("program");
        let input = p.input::<u64>();
        let mut given: Vec<Given> = Vec::new();
        let mut at = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let name = format!("n{index}");
            at += declare(&mut p, &name, node, at, input, &mut given);
        }
        let plain = given.iter().copied().filter_map(plain_of);
        let out = p.join(
            "out",
            stageflow_graph::Join::Settled,
            plain.collect::<Vec<_>>(),
        );
        p.output(out).build()
    }
}

fn plain_of(given: Given) -> Option<Handle<u64>> {
    match given {
        Given::Plain(handle) => Some(handle),
        Given::List(_) | Given::Optional(_) => None,
    }
}

fn wires(given: &[Given], after: &[usize], input: Handle<u64>) -> Wires {
    let mut wires: Wires = (Vec::new(), Vec::new(), Vec::new(), input);
    for place in after {
        match given[*place] {
            Given::Plain(handle) => wires.0.push(handle),
            Given::Optional(handle) => wires.1.push(handle),
            Given::List(handle) => wires.2.push(handle),
        }
    }
    wires
}

/// Declares one node, and says how many nodes of the plan it is.
fn declare(
    p: &mut PipelineBuilder<u64>,
    name: &str,
    node: &Node,
    at: usize,
    input: Handle<u64>,
    given: &mut Vec<Given>,
) -> usize {
    let branches = |of: &[usize]| -> Vec<Handle<u64>> {
        of.iter()
            .filter_map(|place| plain_of(given[*place]))
            .collect()
    };
    match node {
        Node::Join { rule, branches: of } => {
            let handle = p.join(name, *rule, branches(of));
            given.push(Given::List(handle));
            1
        }
        Node::Merge { branches: of } => {
            let handle = p.merge(name, branches(of));
            given.push(Given::Plain(handle));
            1
        }
        Node::Route { after, act, takes } => {
            let stage = Chooses {
                played: Played { at, act: *act },
                takes: takes.clone(),
            };
            let WayArms { a, b, c } = p.route(name, stage).after(wires(given, after, input));
            given.extend([a, b, c].map(Given::Plain));
            4
        }
        Node::Stage {
            after,
            acts,
            presence,
        } => {
            let wires = wires(given, after, input);
            let mut acts = acts.iter().enumerate();
            let Some((_, first)) = acts.next() else {
                return 0;
            };
            let mut stage: StageBuilder<'_, Played, IsRequired> =
                p.stage(name, Played { at, act: *first });
            let mut count = 1;
            for (spare, act) in acts {
                stage = stage.or(
                    format!("{name}-{spare}"),
                    Played {
                        at: at + spare,
                        act: *act,
                    },
                );
                count += 1;
            }
            given.push(match presence {
                Presence::Optional => Given::Optional(stage.optional().after(wires)),
                Presence::Default => {
                    Given::Plain(stage.or_value(move || default_value(at)).after(wires))
                }
                _ => Given::Plain(stage.after(wires)),
            });
            count
        }
    }
}
