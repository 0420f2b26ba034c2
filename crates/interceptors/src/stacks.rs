//! The layers of an engine, and which of them go around which stage.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use stageflow_graph::Plan;

use crate::{Claim, Interceptor, Layer, On, Stack, StackError};

/// All layers of an engine. Kept by engines.
#[derive(Default)]
pub struct Stacks {
    layers: Vec<(On, Layer)>,
    /// Those that go around every stage.
    common: Stack,
    known: Mutex<Known>,
}

/// The stacks of pipelines that have run, by the addresses of their plans, while those are there.
type Known = HashMap<usize, (Weak<Plan>, Arc<PlanStacks>)>;

impl Stacks {
    /// No layer at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer around these stages.
    #[must_use]
    pub fn with<Shape>(mut self, on: On, interceptor: impl Interceptor<Shape>) -> Self {
        let layer = interceptor.into_layer();
        if on.is_every() {
            self.common = self.common.with(layer.clone());
        }
        self.layers.push((on, layer));
        self
    }

    /// Whether the layers can stand together.
    ///
    /// # Errors
    ///
    /// [`StackError`] for the first that cannot have what it asks for.
    pub fn check(&self) -> Result<(), StackError> {
        for (place, (on, layer)) in self.layers.iter().enumerate() {
            let others = self.layers.iter().enumerate();
            let mut others = others.filter(|(at, (other, _))| *at != place && other.meets(on));
            match layer.claim() {
                Claim::Nothing => {}
                Claim::Decides | Claim::Outermost => {
                    let order = (layer.phase(), place);
                    // Of two with this claim, the inner one finds the outer one.
                    let outside = others.find(|(at, (_, other))| (other.phase(), *at) < order);
                    if let Some((_, (_, other))) = outside {
                        return Err(StackError::not_outermost(layer, other));
                    }
                }
                Claim::Unique => {
                    let twin = others.any(|(_, (other_on, other))| {
                        other.name() == layer.name() && other_on.rank() == on.rank()
                    });
                    if twin {
                        return Err(StackError::twice(layer, on));
                    }
                }
            }
        }
        Ok(())
    }

    /// The first layer that decides about permissions, if there is one.
    #[must_use]
    pub fn decider(&self) -> Option<&str> {
        let mut layers = self.layers.iter().map(|(_, layer)| layer);
        let decider = layers.find(|layer| layer.claim() == Claim::Decides);
        decider.map(Layer::name)
    }

    /// The layers around every stage.
    #[inline]
    #[must_use]
    pub fn common(&self) -> &Stack {
        &self.common
    }

    /// The layers of each stage of this pipeline; `None` if all have the common ones.
    #[must_use]
    pub fn for_plan(&self, plan: &Arc<Plan>) -> Option<Arc<PlanStacks>> {
        if self.layers.len() == self.common.len() {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A weak reference keeps the address from being used again.
        let address = Arc::as_ptr(plan).addr();
        if let Some((_, stacks)) = known.get(&address) {
            return Some(Arc::clone(stacks));
        }
        known.retain(|_, (plan, _)| plan.strong_count() > 0);
        let stacks = Arc::new(self.of_plan(plan));
        known.insert(address, (Arc::downgrade(plan), Arc::clone(&stacks)));
        Some(stacks)
    }

    fn of_plan(&self, plan: &Plan) -> PlanStacks {
        let mut places = HashMap::new();
        let mut stacks = Vec::new();
        let of_stage = (0..plan.len()).map(|stage| {
            let chosen = self.chosen(plan, stage);
            *places.entry(chosen).or_insert_with_key(|chosen| {
                stacks.push(Stack::of(
                    chosen.iter().map(|at| self.layers[*at].1.clone()),
                ));
                stacks.len() - 1
            })
        });
        PlanStacks {
            of_stage: of_stage.collect(),
            stacks,
        }
    }

    /// Which layers go around a stage.
    fn chosen(&self, plan: &Plan, stage: usize) -> Vec<usize> {
        let meant = || {
            let layers = self.layers.iter().enumerate();
            layers.filter(|(_, (on, _))| on.covers(plan, stage))
        };
        let stays = |on: &On, layer: &Layer| {
            layer.claim() != Claim::Unique
                || !meant().any(|(_, (other_on, other))| {
                    other.name() == layer.name() && other_on.rank() > on.rank()
                })
        };
        meant()
            .filter(|(_, (on, layer))| stays(on, layer))
            .map(|(at, _)| at)
            .collect()
    }

    /// The layers around every stage, printed; what goes around some stages only follows, by itself.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = self.common.describe();
        for (on, layer) in self.layers.iter().filter(|(on, _)| !on.is_every()) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "{on}: {} [{}]", layer.name(), layer.phase());
        }
        out
    }

    /// The layers around each stage of a pipeline, printed: stages with the same ones are named together.
    #[must_use]
    pub fn describe_for(&self, plan: &Arc<Plan>) -> String {
        let Some(stacks) = self.for_plan(plan) else {
            return self.common.describe();
        };
        let mut out = String::new();
        for (at, stack) in stacks.stacks.iter().enumerate() {
            let names: Vec<_> = (0..plan.len())
                .filter(|stage| stacks.of_stage[*stage] == at)
                .map(|stage| plan.names()[stage].as_str())
                .collect();
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{}:\n{}", names.join(", "), stack.describe());
        }
        out
    }
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.layers).finish()
    }
}

/// The layers of each stage of one pipeline.
#[derive(Debug)]
pub struct PlanStacks {
    of_stage: Vec<usize>,
    /// Stages with the same layers share one.
    stacks: Vec<Stack>,
}

impl PlanStacks {
    /// Those around this stage.
    #[inline]
    #[must_use]
    pub fn of(&self, stage: u32) -> &Stack {
        &self.stacks[self.of_stage[stage as usize]]
    }
}
