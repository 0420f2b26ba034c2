//! Stageflow in the table: how each measured thing is done with the public API.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use stageflow::context::{ContextSnapshot, Message, RunId, RunIdentity, SeededIds};
use stageflow::graph::{NamedInputs, Placement as Place};
use stageflow::prelude::*;

use crate::account;
use crate::control;
use crate::emit;
use crate::harness::Batch;
use crate::stage::{Body, Output};
use crate::subject::{Control, Mode, Placement, Queue, Subject};
use crate::topology::{Listing, Plan};

/// Stageflow in one mode.
pub(crate) struct Stageflow {
    mode: Mode,
}

impl Stageflow {
    /// As the columns "B" and "D" have it.
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// An engine, and its sink if it has one.
    fn engine(&self, placement: Placement) -> (Engine, Option<Arc<MemorySink>>) {
        let builder = Engine::builder().placement(match placement {
            Placement::Inline => Place::Inline,
            Placement::Spawned => Place::Spawn,
        });
        match self.mode {
            Mode::Bare => (builder.build(), None),
            Mode::Default => {
                let capacity = const { std::num::NonZeroUsize::new(1 << 20).unwrap() };
                let sink = Arc::new(MemorySink::bounded(capacity));
                let engine = builder
                    .events(Arc::clone(&sink))
                    .intercept(Timeout::attempt(Duration::from_secs(60)))
                    .intercept(Trace::new())
                    .intercept(CatchPanic::permanent())
                    .build();
                (engine, Some(sink))
            }
        }
    }
}

impl Subject for Stageflow {
    fn pipeline(&self, plan: &Arc<Plan>, placement: Placement) -> Option<Batch> {
        let (engine, sink) = self.engine(placement);
        let (pipeline, longest) = (pipeline(plan), plan.longest);
        Some(Arc::new(move |count| {
            let (engine, sink, pipeline) = (engine.clone(), sink.clone(), pipeline.clone());
            Box::pin(async move {
                for _ in 0..count {
                    let report = engine.run(&pipeline, (), RunOptions::new()).await;
                    assert!(
                        report.output().is_ok_and(|step| *step == longest),
                        "{report:?}"
                    );
                    drop(sink.as_ref().map(|sink| sink.drain()));
                }
            })
        }))
    }

    fn control(&self, control: Control) -> Option<Batch> {
        let (engine, sink) = self.engine(Placement::Inline);
        Some(control::batch(control, engine, sink))
    }

    fn build(&self, listing: &Arc<Listing>) -> Option<Batch> {
        let listing = Arc::clone(listing);
        Some(Arc::new(move |count| {
            let listing = Arc::clone(&listing);
            Box::pin(async move {
                for _ in 0..count {
                    black_box(by_name(&listing));
                }
            })
        }))
    }

    fn emit(&self, queue: Queue) -> Option<Batch> {
        Some(emit::one_by_one(queue))
    }

    fn account(&self) -> Option<BoxFuture<'static, Duration>> {
        Some(Box::pin(account::flood()))
    }

    fn status(&self) -> Option<Batch> {
        Some(emit::in_batches())
    }

    fn fork(&self, messages: usize, depth: usize) -> Option<Batch> {
        let ids = SeededIds::new(7);
        let mut snapshot = ContextSnapshot::new(RunIdentity::new(RunId::generate(&ids)));
        for message in 0..messages {
            snapshot = snapshot.with_message(Message::user(format!("message {message}")));
        }
        for _ in 0..depth {
            let child = snapshot
                .identity()
                .child(RunId::generate(&ids), "stage")
                .ok()?;
            snapshot = snapshot.fork(child);
        }
        let run_id = RunId::generate(&ids);
        Some(Arc::new(move |count| {
            let snapshot = snapshot.clone();
            Box::pin(async move {
                for _ in 0..count {
                    black_box(black_box(&snapshot).fork(RunIdentity::new(run_id)));
                }
            })
        }))
    }
}

/// The longest step of `plan`, as a pipeline: a stage each, and one that looks at those nothing waits for.
fn pipeline(plan: &Plan) -> Pipeline<(), i64> {
    let mut p = Pipeline::builder("bench");
    p.input::<()>();
    let mut handles: Vec<Handle<Output>> = Vec::with_capacity(plan.len());
    for (stage, body) in plan.bodies.iter().enumerate() {
        let name = format!("s{stage}");
        let handle = match *plan.deps(stage) {
            [] => p.stage(name, Root(body.clone())).root(),
            [only] => one(&mut p, name, body, handles[only as usize]),
            ref many => {
                let upstream: Vec<_> = many.iter().map(|dep| handles[*dep as usize]).collect();
                p.stage(name, Many(body.clone())).after(upstream)
            }
        };
        handles.push(handle);
    }
    let ends: Vec<_> = (0..plan.len())
        .filter(|stage| plan.dependents(*stage).is_empty())
        .map(|end| handles[end])
        .collect();
    let longest = p
        .stage(
            "longest",
            stage_fn(async |_cx, ends: Vec<Arc<Output>>| Ok(largest(&ends))),
        )
        .after(ends);
    match p.output(longest).build() {
        Ok(pipeline) => pipeline,
        Err(error) => unreachable!("{error}"),
    }
}

/// A stage with one upstream stage. The one that returns at once is a type of its own, as for the hand-written drivers.
fn one<I: Send + Sync + 'static>(
    p: &mut stageflow::graph::PipelineBuilder<I>,
    name: String,
    body: &Body,
    upstream: Handle<Output>,
) -> Handle<Output> {
    match body {
        Body::Ready => p
            .stage(
                name,
                stage_fn(async |_cx, input: Arc<Output>| Ok(Output::after(input.step))),
            )
            .after(upstream),
        other => p.stage(name, One(other.clone())).after(upstream),
    }
}

fn largest(outputs: &[Arc<Output>]) -> i64 {
    outputs.iter().map(|output| output.step).max().unwrap_or(0)
}

struct Root(Body);

impl Stage for Root {
    type Input = ();
    type Output = Output;

    async fn run(&self, _cx: StageCx, (): ()) -> Result<Output, Stop> {
        Ok(self.0.run(0).await)
    }
}

struct One(Body);

impl Stage for One {
    type Input = Arc<Output>;
    type Output = Output;

    async fn run(&self, _cx: StageCx, input: Arc<Output>) -> Result<Output, Stop> {
        Ok(self.0.run(input.step).await)
    }
}

struct Many(Body);

impl Stage for Many {
    type Input = Vec<Arc<Output>>;
    type Output = Output;

    async fn run(&self, _cx: StageCx, inputs: Vec<Arc<Output>>) -> Result<Output, Stop> {
        Ok(self.0.run(largest(&inputs)).await)
    }
}

/// The same listing that the limit interns and sorts, with a stage each.
fn by_name(listing: &Listing) -> usize {
    let mut p = Pipeline::by_name("listing");
    for (name, upstream) in &listing.stages {
        p.stage(
            name,
            stage_fn(async |_cx, _: NamedInputs| Ok(serde_json::Value::Null)),
        )
        .after(upstream);
    }
    if let Some((last, _)) = listing.stages.last() {
        p.output(last);
    }
    p.build().map_or(0, |pipeline| pipeline.plan().len())
}
