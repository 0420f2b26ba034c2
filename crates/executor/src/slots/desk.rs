//! What the stages of one pipeline need, in an engine's own terms.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow_context::StageName;
use stageflow_graph::{Plan, PoolUse, nearest};

use super::book::{Need, Needs, PoolId};
use super::error::{PoolError, PoolErrorKind};
use super::{PoolKind, Slots};

/// The needs of a pipeline's stages. All runs of the pipeline on an engine share it, and with it the pipeline's limits.
#[derive(Debug)]
pub(crate) struct Desk {
    slots: Arc<Slots>,
    plan: Arc<Plan>,
    needs: Wants,
    /// The pools that are there for this pipeline only.
    own: Vec<(PoolId, PoolKind)>,
}

#[derive(Debug)]
enum Wants {
    /// The same for all stages.
    All(Option<Needs>),
    Each(Vec<Option<Needs>>),
}

impl Desk {
    /// The desk of a pipeline that asks for nothing by itself.
    pub(super) fn plain(slots: &Arc<Slots>, plan: &Arc<Plan>) -> Self {
        Self {
            slots: Arc::clone(slots),
            plan: Arc::clone(plan),
            needs: Wants::All(slots.everyone.clone()),
            own: Vec::new(),
        }
    }

    /// Opens the pools that a pipeline's limits are, and works out what each stage needs.
    ///
    /// # Errors
    ///
    /// Every pool that is named and cannot be used, in the order of the stages.
    pub(super) fn open(slots: &Arc<Slots>, plan: &Arc<Plan>) -> Result<Self, Vec<PoolError>> {
        let mut errors = Vec::new();
        let mut named = Vec::with_capacity(plan.len());
        for (stage, name) in plan.names().iter().enumerate() {
            let mut needs = Vec::new();
            for asked in plan.options(stage).demands.pools() {
                match find(slots, name, asked) {
                    Ok(need) => needs.push(need),
                    Err(error) => errors.push(error),
                }
            }
            named.push(needs);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut desk = Self::plain(slots, plan);
        // The outermost first, so that the innermost comes first in the order of pools.
        for limit in plan.limits() {
            let kind = PoolKind::Pipeline(Arc::clone(limit.pipeline()));
            let pool = desk.own_pool(limit.at_most().get(), kind);
            for stage in limit.stages() {
                named[stage as usize].push(one(pool));
            }
        }
        for (stage, needs) in named.iter_mut().enumerate() {
            if let Some(limit) = plan.options(stage).demands.limit() {
                let kind = PoolKind::Stage(plan.names()[stage].clone());
                needs.push(one(desk.own_pool(limit.get(), kind)));
            }
        }
        // Many stages need the same: they share one list, and so one line.
        let mut known = BTreeMap::new();
        let everyone = slots.everyone.iter().flat_map(|needs| needs.iter());
        let everyone: Vec<_> = everyone.copied().collect();
        let each = named.into_iter().map(|mut needs| {
            needs.extend(&everyone);
            needs.sort_unstable_by(|a, b| b.cmp(a));
            let needs = Needs::from(needs);
            let shared = known.entry(Arc::clone(&needs)).or_insert(needs);
            (!shared.is_empty()).then(|| Arc::clone(shared))
        });
        desk.needs = Wants::Each(each.collect());
        Ok(desk)
    }

    pub(super) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// What a stage needs, if it needs anything.
    pub(super) fn needs(&self, stage: u32) -> Option<&Needs> {
        match &self.needs {
            Wants::All(needs) => needs.as_ref(),
            Wants::Each(needs) => needs.get(stage as usize)?.as_ref(),
        }
    }

    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(super) fn own(&self) -> &[(PoolId, PoolKind)] {
        &self.own
    }

    fn own_pool(&mut self, capacity: usize, kind: PoolKind) -> PoolId {
        let pool = self.slots.with(|book, _| book.open(capacity as u64));
        self.own.push((pool, kind));
        pool
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.slots.forget(self);
    }
}

fn one(pool: PoolId) -> Need {
    let units = NonZeroU32::MIN;
    Need { pool, units }
}

fn find(slots: &Slots, stage: &StageName, asked: &PoolUse) -> Result<Need, PoolError> {
    /// How many names an error lists.
    const SHOWN: usize = 8;

    let kind = match slots.named.get(&**asked.pool()) {
        Some((pool, units)) if asked.units() <= *units => {
            return Ok(Need {
                pool: *pool,
                units: asked.units(),
            });
        }
        Some((_, units)) => PoolErrorKind::TooSmall {
            takes: asked.units(),
            units: *units,
        },
        None => {
            let names = || slots.named.keys().map(|name| &**name);
            PoolErrorKind::Unknown {
                nearest: nearest(asked.pool(), names()).map(str::to_owned),
                known: names().take(SHOWN).map(str::to_owned).collect(),
                pools: slots.named.len(),
            }
        }
    };
    Err(PoolError {
        stage: stage.clone(),
        pool: asked.pool().to_string(),
        kind,
    })
}
