//! Fifty stages, one of which runs fifty, one of which runs fifty.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::json;
use stageflow::context::RunIdentity;
use stageflow::prelude::*;
use tokio::task::yield_now;

use crate::LabError;

/// Layers of stages, and stages of a layer: each waits for two of the layer before.
const LAYERS: usize = 10;
const WIDTH: usize = 5;

pub(super) const STAGES: usize = LAYERS * WIDTH;

/// What the pipelines are called, from the outermost.
pub(super) const LEVELS: [&str; 3] = ["outer", "middle", "inner"];

/// The stage that runs the next one.
pub(super) const DOOR: usize = 27;

pub(super) fn name(index: usize) -> String {
    format!("s{index}")
}

/// What a run is started with, and each stage hands on: it says whose it is.
#[derive(Clone)]
pub(super) struct Ticket {
    canary: Arc<str>,
    engine: Engine,
    slip: Slip,
}

impl Ticket {
    pub(super) fn new(identity: &RunIdentity, engine: &Engine, slip: Slip) -> Self {
        Self {
            canary: identity.correlation_id().to_string().into(),
            engine: engine.clone(),
            slip,
        }
    }
}

/// What a program does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    None,
    /// Starts what it runs inside as a run of nobody.
    Alone,
    /// Keeps the context in a thread-local while it waits.
    ThreadLocal,
}

thread_local! {
    static CURRENT: RefCell<Option<StageCx>> = const { RefCell::new(None) };
}

type Level = Pipeline<Ticket, Ticket>;

/// The three pipelines.
pub(super) struct Nest([Arc<Level>; 3]);

impl Nest {
    pub(super) fn new() -> Result<Arc<Self>, LabError> {
        let inner = Arc::new(level(LEVELS[2], None)?);
        let middle = Arc::new(level(LEVELS[1], Some(&inner))?);
        let outer = Arc::new(level(LEVELS[0], Some(&middle))?);
        Ok(Arc::new(Self([outer, middle, inner])))
    }

    pub(super) fn outer(&self) -> &Level {
        &self.0[0]
    }

    pub(super) fn levels(&self) -> impl Iterator<Item = &Level> {
        self.0.iter().map(|level| &**level)
    }
}

fn level(called: &str, below: Option<&Arc<Level>>) -> Result<Level, LabError> {
    let mut p = Pipeline::builder(called);
    let ticket = p.input::<Ticket>();
    let mut before = vec![ticket; WIDTH];
    for layer in 0..LAYERS {
        let mut here = Vec::with_capacity(WIDTH);
        for place in 0..WIDTH {
            let index = layer * WIDTH + place;
            let below = below.filter(|_| index == DOOR).cloned();
            let stage = stage_fn(move |cx, (ticket, _other): (Arc<Ticket>, Arc<Ticket>)| {
                step(cx, ticket, below.clone())
            });
            let waits = (before[place], before[(place + 1) % WIDTH]);
            here.push(p.stage(name(index), stage).after(waits));
        }
        before = here;
    }
    p.output(before[0]).build().map_err(LabError::new)
}

/// Others have a turn whenever they can; who goes on with this afterwards is for the runtime to say.
async fn step(cx: StageCx, ticket: Arc<Ticket>, below: Option<Arc<Level>>) -> Result<Ticket, Stop> {
    CURRENT.set(Some(cx.clone()));
    yield_now().await;
    let there = CURRENT.take().filter(|_| ticket.slip == Slip::ThreadLocal);
    let speaker = there.as_ref().unwrap_or(&cx);
    speaker.try_emit("nested.said", json!({ "canary": &*ticket.canary }))?;
    yield_now().await;
    if let Some(below) = below {
        let below_ticket = Ticket::clone(&ticket);
        if ticket.slip == Slip::Alone {
            let run = ticket.engine.run(&below, below_ticket, RunOptions::new());
            Box::pin(run).await.into_output()?;
        } else {
            cx.run(&below, below_ticket).await?;
        }
        yield_now().await;
    }
    Ok(Ticket::clone(&ticket))
}
