//! A pipeline as a tower service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use stageflow_graph::Pipeline;
use tower_service::Service;

use crate::{Engine, RunError, RunOptions, RunReport};

/// A pipeline on an engine, as a [`tower_service::Service`]: a request is an input, a response the report of a run that has
/// an output. Made by [`Engine::service`]. A clone is the same service.
///
/// It is always ready: what limits how many runs there are belongs around it. Dropping the future of a request cancels its run, as
/// dropping a [`Run`](crate::Run) does.
///
/// # Errors
///
/// [`RunError`] if the run has no output: it failed, was denied, cancelled, or ran out of time.
pub struct PipelineService<I, O> {
    engine: Engine,
    pipeline: Pipeline<I, O>,
    options: Arc<dyn Fn(&I) -> RunOptions + Send + Sync>,
}

impl Engine {
    /// This pipeline as a [`tower_service::Service`]. `options` says how a run for an input is set up: for whom, and how long it
    /// may take.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use stageflow_context::{StageCx, Stop};
    /// use stageflow_executor::{Engine, RunOptions};
    /// use stageflow_graph::{Pipeline, stage_fn};
    /// use tower::{ServiceBuilder, ServiceExt};
    ///
    /// async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    ///     Ok(text.to_uppercase())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let mut p = Pipeline::builder("greet");
    /// let name = p.input::<String>();
    /// let loud = p.stage("shout", stage_fn(shout)).after(name);
    /// let pipeline = p.output(loud).build()?;
    ///
    /// let greet = Engine::new().service(&pipeline, |_name| RunOptions::new());
    /// let limited = ServiceBuilder::new()
    ///     .concurrency_limit(8)
    ///     .timeout(Duration::from_secs(5))
    ///     .service(greet);
    /// let report = limited.oneshot("hello".to_owned()).await?;
    /// assert_eq!(report.output()?, "HELLO");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn service<I, O>(
        &self,
        pipeline: &Pipeline<I, O>,
        options: impl Fn(&I) -> RunOptions + Send + Sync + 'static,
    ) -> PipelineService<I, O>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        PipelineService {
            engine: self.clone(),
            pipeline: pipeline.clone(),
            options: Arc::new(options),
        }
    }
}

impl<I, O> Service<I> for PipelineService<I, O>
where
    I: Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    type Response = RunReport<O>;
    type Error = RunError;
    type Future = Pin<Box<dyn Future<Output = Result<RunReport<O>, RunError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), RunError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, input: I) -> Self::Future {
        let options = (self.options)(&input);
        let Self {
            engine, pipeline, ..
        } = self.clone();
        Box::pin(async move {
            let report = engine.run(&pipeline, input, options).await;
            match report.output() {
                Ok(_) => Ok(report),
                Err(error) => Err(error),
            }
        })
    }
}

impl<I, O> Clone for PipelineService<I, O> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            pipeline: self.pipeline.clone(),
            options: Arc::clone(&self.options),
        }
    }
}

impl<I, O> fmt::Debug for PipelineService<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineService")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
