//! The stages that random pipelines are made of.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stageflow_context::{StageCx, Stop};
use stageflow_graph::{NamedInputs, Stage};

use super::{Behaviour, DagSpec, StageSpec, Tempo, Watch, value};

/// One stage, whatever its types.
pub(super) struct Node {
    at: usize,
    spec: StageSpec,
    /// For each upstream stage its name, and whether it may give nothing.
    upstream: Vec<(String, bool)>,
    watch: Watch,
}

impl Node {
    pub(super) fn new(spec: &DagSpec, at: usize, watch: &Watch) -> Self {
        let up = |up: &usize| (spec.stages[*up].name(), spec.stages[*up].optional);
        let upstream = spec.stages[at].upstream.iter().map(up).collect();
        Self {
            at,
            spec: spec.stages[at].clone(),
            upstream,
            watch: watch.clone(),
        }
    }

    async fn play(&self, cx: &StageCx, input: u64, upstream: &[Option<u64>]) -> Result<u64, Stop> {
        let visit = self.watch.enter(self.at, cx);
        self.pass_time().await;
        let end = match self.spec.behaviour {
            Behaviour::Ok => Ok(value(self.spec.id, input, upstream)),
            Behaviour::Fail => Err(Stop::fail("it was to fail")),
            Behaviour::Skip => Err(Stop::skip("it was to skip")),
            Behaviour::CancelRun => Err(Stop::cancel("it was to cancel the run")),
            Behaviour::Panic => resume_unwind(Box::new("it was to panic")),
            Behaviour::Hang => std::future::pending().await,
        };
        visit.done();
        end
    }

    async fn pass_time(&self) {
        match self.watch.tempo() {
            Tempo::Clock if self.spec.delay > 0 => {
                tokio::time::sleep(Duration::from_millis(self.spec.delay.into())).await;
            }
            Tempo::Clock => {}
            Tempo::Yields => {
                for _ in 0..self.spec.delay % 4 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// A stage that is wired by handles: those that always give a value, those that may not, and the pipeline's input.
pub(super) struct TypedNode(pub(super) Node);

impl Stage for TypedNode {
    type Input = (Vec<Arc<u64>>, Vec<Arc<Option<u64>>>, Arc<u64>);
    type Output = u64;

    async fn run(
        &self,
        cx: StageCx,
        (required, optional, input): Self::Input,
    ) -> Result<u64, Stop> {
        let (mut required, mut optional) = (required.into_iter(), optional.into_iter());
        let next = |(_, may_be_absent): &(String, bool)| match may_be_absent {
            true => optional.next().and_then(|value| *value),
            false => required.next().map(|value| *value),
        };
        let upstream: Vec<Option<u64>> = self.0.upstream.iter().map(next).collect();
        self.0.play(&cx, *input, &upstream).await
    }
}

/// A stage that is wired by name.
pub(super) struct NamedNode(pub(super) Node);

impl Stage for NamedNode {
    type Input = NamedInputs;
    type Output = Value;

    async fn run(&self, cx: StageCx, inputs: NamedInputs) -> Result<Value, Stop> {
        let read = |(name, _): &(String, bool)| Ok(inputs.get(name)?.and_then(Value::as_u64));
        let upstream: Vec<Option<u64>> = self
            .0
            .upstream
            .iter()
            .map(read)
            .collect::<Result<_, Stop>>()?;
        self.0
            .play(&cx, inputs.decode_run_input()?, &upstream)
            .await
            .map(|value| json!(value))
    }
}
