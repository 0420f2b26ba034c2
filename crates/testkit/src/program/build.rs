//! Random programs, built.

use std::num::NonZeroU32;

use stageflow_executor::RunOptions;
use stageflow_graph::{BuildError, Handle, Join, Pipeline, PipelineBuilder, Stage, StageBuilder};

use super::stages::{
    BEFOREHAND, Ins, ManyWays, Nested, OneWay, Plain, Player, WayArms, is_lenient, looped, mapped,
    mapped_leniently,
};
use super::{Arm, Need, Program, Rule, Script, Stopper, What};
use crate::Probe;

/// How stages pass their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Speed {
    /// They sleep: for paused clocks.
    Clock,
    /// They suspend a few times.
    Yields,
}

/// A program, ready to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The pipeline.
    pub pipeline: Pipeline<u64, u64>,
    /// Counts the stages, items, rounds and fallbacks that are alive.
    pub probe: Probe,
}

/// What later nodes can be wired to.
#[derive(Clone, Copy)]
enum Given {
    List(Handle<Vec<std::sync::Arc<u64>>>),
    Maybe(Handle<Option<u64>>),
    One(Handle<u64>),
    Ways(WayArms),
}

impl Program {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the graph crate refuses it, which it should not.
    pub fn build(&self, speed: Speed) -> Result<Built, BuildError> {
        let probe = Probe::new();
        let mut building = Building {
            program: self,
            speed,
            probe: probe.clone(),
            given: Vec::with_capacity(self.nodes.len()),
            p: Pipeline::builder("program"),
        };
        for node in 0..self.nodes.len() {
            let given = building.node(node)?;
            building.given.push(given);
        }
        let Some(Given::One(output)) = building.given.last().copied() else {
            unreachable!("the last node is a plain stage");
        };
        let pipeline = building.p.output(output).build()?;
        Ok(Built { pipeline, probe })
    }

    /// The options it is run with. Whoever runs it sees to [`Stopper::Handle`].
    pub fn options(&self) -> RunOptions {
        let mut options = RunOptions::new().on_failure(self.policy);
        if let Some(slots) = self.slots {
            options = options.concurrency(slots);
        }
        if let Some((after, Stopper::Deadline)) = self.stopped {
            options = options.deadline(std::time::Duration::from_millis(after.into()));
        }
        options
    }
}

struct Building<'a> {
    program: &'a Program,
    speed: Speed,
    probe: Probe,
    given: Vec<Given>,
    p: PipelineBuilder<u64>,
}

impl Building<'_> {
    fn node(&mut self, node: usize) -> Result<Given, BuildError> {
        let program = self.program;
        let name = format!("n{node}");
        let upstream = self.upstream(node);
        let player = self.player(node);
        Ok(match &program.nodes[node].what {
            What::Stage {
                script,
                need,
                fallbacks,
            } => {
                let plain = |attempt, script| Plain {
                    player: player.clone(),
                    attempt,
                    script,
                };
                let mut stage = self.p.stage(name, plain(0, *script));
                for (index, script) in fallbacks.iter().enumerate() {
                    stage = stage.or(format!("n{node}-f{index}"), plain(index + 1, *script));
                }
                wired(stage, *need, upstream)
            }
            What::Route { script, taken } => Given::Ways(match taken[..] {
                [arm] => {
                    let script = *script;
                    let stage = OneWay {
                        player,
                        script,
                        arm,
                    };
                    self.p.route(name, stage).after(upstream)
                }
                _ => {
                    let stage = ManyWays {
                        player,
                        script: *script,
                        arms: taken.clone(),
                    };
                    self.p.route(name, stage).after(upstream)
                }
            }),
            What::Arm(arm) => Given::One(self.arm(node, *arm)),
            What::Merge => Given::One(self.p.merge(name, self.ones(node))),
            What::Join(rule) => {
                let join = match rule {
                    Rule::Any => Join::any(),
                    Rule::AtLeast(needed) => Join::at_least(*needed),
                    Rule::Settled => Join::settled(),
                };
                Given::List(self.p.join(name, join, self.ones(node)))
            }
            What::Map {
                items,
                width,
                on_failure,
            } => {
                let items = items.clone();
                Given::List(if is_lenient(*on_failure) {
                    let stage = mapped_leniently(player, items, *width);
                    self.p.stage(name, stage).after(upstream)
                } else {
                    let stage = mapped(player, items, *width);
                    self.p.stage(name, stage).after(upstream)
                })
            }
            What::Loop {
                content,
                at_most,
                script,
            } => {
                let at_most = NonZeroU32::MIN.saturating_add(at_most - 1);
                let stage = looped(player, *script, *content, at_most);
                Given::One(self.p.stage(name, stage).after(upstream))
            }
            What::Child(script) => {
                let pipeline = self.child(player, *script)?;
                Given::One(
                    self.p
                        .stage(name, Nested { node, pipeline })
                        .after(upstream),
                )
            }
        })
    }

    /// The pipeline of one stage that a child node runs. It gives what it was given.
    fn child(&self, player: Player, script: Script) -> Result<Pipeline<u64, u64>, BuildError> {
        let mut p = Pipeline::builder("child");
        let input = p.input::<u64>();
        let stage = stageflow_graph::stage_fn(
            move |cx: stageflow_context::StageCx, start: std::sync::Arc<u64>| {
                let player = player.clone();
                async move {
                    player.play(&cx, script).await?;
                    Ok(*start)
                }
            },
        );
        let only = p.stage("only", stage).after(input);
        p.output(only).build()
    }

    fn player(&self, node: usize) -> Player {
        Player {
            node,
            probe: self.probe.clone(),
            speed: self.speed,
        }
    }

    fn upstream(&mut self, node: usize) -> Wired {
        let (mut ones, mut maybes, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for up in &self.program.nodes[node].up {
            match self.given[*up] {
                Given::One(one) => ones.push(one),
                Given::Maybe(maybe) => maybes.push(maybe),
                Given::List(list) => lists.push(list),
                Given::Ways(_) => {}
            }
        }
        (ones, maybes, lists, self.p.input::<u64>())
    }

    fn ones(&self, node: usize) -> Vec<Handle<u64>> {
        let one = |up: &usize| match self.given[*up] {
            Given::One(one) => Some(one),
            _ => None,
        };
        self.program.nodes[node].up.iter().filter_map(one).collect()
    }

    /// Arms are nodes of their own in the program; the pipeline calls them after their route.
    fn arm(&self, node: usize, arm: Arm) -> Handle<u64> {
        let route = self.program.nodes[node].up[0];
        let Given::Ways(ways) = self.given[route] else {
            unreachable!("an arm comes after its route");
        };
        match arm {
            Arm::Left => ways.left,
            Arm::Middle => ways.middle,
            Arm::Right => ways.right,
        }
    }
}

type Wired = (
    Vec<Handle<u64>>,
    Vec<Handle<Option<u64>>>,
    Vec<Handle<Vec<std::sync::Arc<u64>>>>,
    Handle<u64>,
);

fn wired<S: Stage<Input = Ins, Output = u64>>(
    stage: StageBuilder<'_, S>,
    need: Need,
    upstream: Wired,
) -> Given {
    match need {
        Need::Required => Given::One(stage.after(upstream)),
        Need::Optional => Given::Maybe(stage.optional().after(upstream)),
        Need::Default => Given::One(stage.or_value(|| BEFOREHAND).after(upstream)),
    }
}
