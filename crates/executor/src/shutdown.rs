//! The end of an engine: told, waited for, and named if it did not end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{RunHost as _, RunId, StageName};

use crate::Engine;
use crate::shared::RunShared;

impl Engine {
    /// Ends the engine: tells every run that waits to stop, and waits for up to `grace` until they are over, cleanups and
    /// all. Runs that are started from now on end as cancelled without starting a stage.
    ///
    /// What has not ended in time is listed by name, and goes on: a stage that holds its thread cannot be stopped by force.
    /// A run that computes and has not suspended yet is told when it does; until then it is not known here.
    ///
    /// May be called again, also at the same time: every call waits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stageflow_executor::Engine;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let engine = Engine::new();
    /// let shutdown = engine.shutdown(Duration::from_secs(10)).await;
    /// assert!(shutdown.is_clean(), "{shutdown}");
    /// # }
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the waiting. The engine stays closed.
    pub async fn shutdown(&self, grace: Duration) -> Shutdown {
        let (registry, tracker) = (&self.inner.registry, &self.inner.tracker);
        let told = registry.close();
        let over = async {
            registry.empty().await;
            tracker.close();
            tracker.wait().await;
        };
        let in_time = tokio::time::timeout(grace, over).await.is_ok();
        let mut abandoned = Vec::new();
        if !in_time {
            abandoned.extend(registry.waiting().iter().map(|run| Abandoned::of(run)));
        }
        Shutdown { told, abandoned }
    }
}

/// What came of an [`Engine::shutdown`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// How many runs were told to stop by this call. A run that a stage started is told by its parent and not counted.
    pub told: usize,
    /// The runs that were not over in time.
    pub abandoned: Vec<Abandoned>,
}

impl Shutdown {
    /// Whether everything was over in time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.abandoned.is_empty()
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "told {} to stop; everything has ended", self.told);
        }
        write!(f, "told {} to stop; not ended in time:", self.told)?;
        for run in &self.abandoned {
            write!(f, "\n  {run}")?;
        }
        Ok(())
    }
}

/// A run that was not over when a shutdown had no more time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: Arc<str>,
    /// The stages it still waits for. Empty if they have all ended, and a cleanup or another run has not; and if nobody
    /// polls the run, so that it has not heard of the shutdown.
    pub stages: Vec<StageName>,
}

impl Abandoned {
    fn of(run: &RunShared) -> Self {
        Self {
            run: run.identity().run_id(),
            pipeline: Arc::clone(run.plan.name()),
            stages: run
                .held()
                .into_iter()
                .map(|stage| run.plan.names()[stage as usize].clone())
                .collect(),
        }
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of pipeline `{}`", self.run, self.pipeline)?;
        for (index, stage) in self.stages.iter().enumerate() {
            let before = if index == 0 { ", in stage" } else { "," };
            write!(f, "{before} `{stage}`")?;
        }
        Ok(())
    }
}
