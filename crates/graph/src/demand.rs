//! What a stage needs before it may start: units of an engine's pools, room under limits, permissions of whoever asks.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::sync::Arc;

use stageflow_context::StageName;

use crate::draft::Draft;
use crate::error::ProblemKind;
use crate::{NamedBuilder, NamedStage, PipelineBuilder, Plan, Stage, StageBuilder};

/// Units of a named pool that a stage takes while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    pub(crate) pool: Arc<str>,
    pub(crate) units: NonZeroU32,
}

impl PoolUse {
    /// The pool's name, as the engine knows it.
    #[must_use]
    pub fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    /// How many of its units.
    #[must_use]
    pub fn units(&self) -> NonZeroU32 {
        self.units
    }
}

impl fmt::Display for PoolUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {}", self.pool)?;
        if self.units.get() > 1 {
            write!(f, "×{}", self.units)?;
        }
        Ok(())
    }
}

/// What a stage needs before it may start, beyond its upstream values. Most stages need nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands(Option<Box<Asked>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    pools: Vec<PoolUse>,
    limit: Option<NonZeroUsize>,
    permissions: Vec<Arc<str>>,
}

impl Demands {
    /// Whether it needs nothing.
    #[inline]
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it needs nothing that it would have to wait for.
    pub(crate) fn is_free(&self) -> bool {
        self.pools().is_empty() && self.limit().is_none()
    }

    /// What whoever asks must be permitted to do, in the order in which it was named. See [`StageBuilder::require`].
    #[inline]
    #[must_use]
    pub fn permissions(&self) -> &[Arc<str>] {
        self.0.as_ref().map_or(&[], |asked| &asked.permissions)
    }

    /// The pools it takes units of, in the order in which they were named.
    #[must_use]
    pub fn pools(&self) -> &[PoolUse] {
        self.0.as_ref().map_or(&[], |asked| &asked.pools)
    }

    /// How many calls of the stage may be under way at a time, over all runs of its pipeline on one engine.
    #[must_use]
    pub fn limit(&self) -> Option<NonZeroUsize> {
        self.0.as_ref()?.limit
    }

    pub(crate) fn add_pool(&mut self, pool: &str, units: NonZeroU32) {
        let pool = Arc::from(pool);
        self.asked().pools.push(PoolUse { pool, units });
    }

    pub(crate) fn set_limit(&mut self, stages: NonZeroUsize) {
        self.asked().limit = Some(stages);
    }

    pub(crate) fn add_permission(&mut self, permission: &str) {
        self.asked().permissions.push(permission.into());
    }

    fn asked(&mut self) -> &mut Asked {
        self.0.get_or_insert_default()
    }
}

/// How many of some stages of a pipeline may run at a time, over all its runs on one engine. The stages lie side by side: all
/// of a pipeline, or those that came from a pipeline it embeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageLimit {
    pub(crate) pipeline: Arc<str>,
    pub(crate) stages: Range<u32>,
    pub(crate) at_most: NonZeroUsize,
}

impl StageLimit {
    /// The name of the pipeline that was given the limit.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// The stages it holds for.
    #[must_use]
    pub fn stages(&self) -> Range<u32> {
        self.stages.clone()
    }

    /// How many of them at a time.
    #[must_use]
    pub fn at_most(&self) -> NonZeroUsize {
        self.at_most
    }
}

impl<S: Stage, P> StageBuilder<'_, S, P> {
    /// Takes so many units of one of the engine's pools while the stage runs. May be said several times, for different pools;
    /// all units are taken at once, or the stage waits. See [`Demands`].
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::{num::NonZeroU32, sync::Arc};
    /// let mut p = Pipeline::builder("embed");
    /// let text = p.input::<String>();
    /// let vector = p
    ///     .stage("embed", stage_fn(async |_cx, text: Arc<String>| Ok(text.len())))
    ///     .pool("gpu", NonZeroU32::MIN)
    ///     .after(text);
    /// let pipeline = p.output(vector).build()?;
    /// assert!(pipeline.mermaid().contains("pool gpu"));
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn pool(mut self, name: impl AsRef<str>, units: NonZeroU32) -> Self {
        self.options.demands.add_pool(name.as_ref(), units);
        self
    }

    /// Lets the stage run only for those who are permitted to do this. May be said several times; all of it is needed. A layer
    /// of the engine decides, before anything else is done for the stage; an engine without one refuses the pipeline.
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// let mut p = Pipeline::builder("answer");
    /// let text = p.input::<String>();
    /// let found = p
    ///     .stage("search", stage_fn(async |_cx, text: Arc<String>| Ok(text.len())))
    ///     .require("kb:read")
    ///     .after(text);
    /// let pipeline = p.output(found).build()?;
    /// assert!(pipeline.mermaid().contains("needs kb:read"));
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn require(mut self, permission: impl AsRef<str>) -> Self {
        self.options.demands.add_permission(permission.as_ref());
        self
    }

    /// Limits how many calls of this stage run at a time, over all runs of the pipeline on one engine.
    pub fn limit(mut self, at_a_time: NonZeroUsize) -> Self {
        self.options.demands.set_limit(at_a_time);
        self
    }
}

impl<I: Send + Sync + 'static> PipelineBuilder<I> {
    /// Limits how many stages of this pipeline run at a time, over all its runs on one engine. Embedded in another pipeline, the
    /// limit goes with the stages.
    pub fn limit(&mut self, stages: NonZeroUsize) -> &mut Self {
        self.draft.at_most = Some(stages);
        self
    }
}

impl NamedStage<'_> {
    /// Takes so many units of one of the engine's pools while the stage runs; see [`StageBuilder::pool`].
    pub fn pool(mut self, name: impl AsRef<str>, units: NonZeroU32) -> Self {
        self.options.demands.add_pool(name.as_ref(), units);
        self
    }

    /// Lets the stage run only for those who are permitted to do this; see [`StageBuilder::require`].
    pub fn require(mut self, permission: impl AsRef<str>) -> Self {
        self.options.demands.add_permission(permission.as_ref());
        self
    }

    /// Limits how many calls of this stage run at a time; see [`StageBuilder::limit`].
    pub fn limit(mut self, at_a_time: NonZeroUsize) -> Self {
        self.options.demands.set_limit(at_a_time);
        self
    }
}

impl NamedBuilder {
    /// Limits how many stages of this pipeline run at a time; see [`PipelineBuilder::limit`].
    pub fn limit(&mut self, stages: NonZeroUsize) -> &mut Self {
        self.at_most = Some(stages);
        self
    }
}

impl Plan {
    /// Whether any stage is only for those who are permitted something: see [`StageBuilder::require`].
    #[must_use]
    pub fn has_permissions(&self) -> bool {
        self.has_permissions
    }
}

/// The longest name a pool or a permission can have, in bytes.
const MAX_NAME: usize = 64;

impl Draft {
    pub(crate) fn check_demands(&mut self, stage: &StageName, demands: &Demands) {
        let pools = demands.pools();
        for (place, PoolUse { pool, .. }) in pools.iter().enumerate() {
            if !is_name(pool) {
                let pool = pool.chars().take(MAX_NAME).collect();
                self.problem(ProblemKind::BadPool {
                    stage: stage.clone(),
                    pool,
                });
            } else if pools[..place].iter().any(|other| other.pool == *pool) {
                self.problem(ProblemKind::RepeatedPool {
                    stage: stage.clone(),
                    pool: pool.to_string(),
                });
            }
        }
        for permission in demands.permissions() {
            if !is_permission(permission) {
                let permission = permission.chars().take(MAX_NAME).collect();
                self.problem(ProblemKind::BadPermission {
                    stage: stage.clone(),
                    permission,
                });
            }
        }
    }
}

/// Words joined by colons, such as `kb:read`: what a policy can name.
fn is_permission(permission: &str) -> bool {
    permission.len() <= MAX_NAME && permission.split(':').all(is_name)
}

fn is_name(pool: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&pool.len()) && pool.bytes().all(allowed)
}
