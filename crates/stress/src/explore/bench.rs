//! A pipeline whose stages end when, and how, a schedule says.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use stageflow::context::{StageCx, Stop};
use stageflow::graph::{Handle, Pipeline, Plan, Stage};
use stageflow_testkit::Probe;

use super::schedule::{End, Node};
use super::story::{cleanup_outcome, value};

/// Where the stages of one run are told to end, and write down what they do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bench {
    pub(crate) probe: Probe,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The order in which stages were called.
    pub(crate) starts: Vec<usize>,
    /// The order in which cleanups ran, and how many stages were alive then.
    pub(crate) cleaned: Vec<((usize, u8), usize)>,
    orders: Vec<Option<End>>,
    waiting: Vec<Option<Waker>>,
}

impl Bench {
    pub(crate) fn new(stages: usize) -> Self {
        let bench = Self::default();
        let mut notes = bench.notes();
        notes.orders = vec![None; stages];
        notes.waiting = vec![None; stages];
        drop(notes);
        bench
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a stage to end like this.
    pub(crate) fn order(&self, stage: usize, end: End) {
        let mut notes = self.notes();
        notes.orders[stage] = Some(end);
        let waker = notes.waiting[stage].take();
        drop(notes);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn told(&self, stage: usize) -> End {
        poll_fn(|cx| {
            let mut notes = self.notes();
            if let Some(end) = notes.orders[stage].take() {
                return Poll::Ready(end);
            }
            notes.waiting[stage] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn register(&self, stage: usize, which: u8, cx: &StageCx) {
        let bench = self.clone();
        cx.on_cleanup(format!("{stage}.{which}"), async move || {
            if which == 0 && stage == 0 {
                // One of them has to wait.
                pause().await;
            }
            let live = bench.probe.live();
            bench.notes().cleaned.push(((stage, which), live));
            if which == 1 && cleanup_outcome(stage) == stageflow::context::Outcome::Failed {
                return Err("it was told to fail");
            }
            Ok(())
        });
    }
}

/// Suspends once. Tokio's own way would wake only when the runtime has its turn, and here the run has it.
async fn pause() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A stage of a schedule.
struct Actor {
    at: usize,
    at_once: Option<End>,
    required: Vec<usize>,
    optional: Vec<usize>,
    bench: Bench,
}

type Upstream = (Vec<Arc<u64>>, Vec<Arc<Option<u64>>>);

impl Stage for Actor {
    type Input = Upstream;
    type Output = u64;

    async fn run(&self, cx: StageCx, (required, optional): Upstream) -> Result<u64, Stop> {
        let live = self.bench.probe.enter();
        self.bench.notes().starts.push(self.at);
        self.bench.register(self.at, 0, &cx);
        self.bench.register(self.at, 1, &cx);
        let end = match self.at_once {
            Some(end) => end,
            None => self.bench.told(self.at).await,
        };
        let required = required.iter().map(|value| Some(**value));
        let optional = optional.iter().map(|value| **value);
        let upstream = self.required.iter().copied().zip(required);
        let upstream = upstream.chain(self.optional.iter().copied().zip(optional));
        let value = value(self.at, upstream);
        match end {
            End::Ok => {
                live.done();
                Ok(value)
            }
            End::Skip => Err(Stop::skip("it was told to skip")),
            End::Fail => Err(Stop::fail("it was told to fail")),
            End::Stop => Err(Stop::cancel("it was told to stop the run")),
            // Past the hook: what panics on purpose does not clutter the output.
            End::Panic => std::panic::resume_unwind(Box::new("it was told to panic")),
            // Its limit is to pass: it hangs.
            End::Late => std::future::pending().await,
        }
    }
}

/// The pipeline of a schedule; its last stage gives the output.
#[derive(Clone, Debug)]
pub(crate) enum Built {
    Optional(Pipeline<(), Option<u64>>, Vec<Given>),
    Required(Pipeline<(), u64>, Vec<Given>),
}

impl Built {
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        match self {
            Self::Optional(pipeline, _) => pipeline.plan(),
            Self::Required(pipeline, _) => pipeline.plan(),
        }
    }
}

/// The handle of a stage.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given {
    Optional(Handle<Option<u64>>),
    Required(Handle<u64>),
}

/// Builds it. A stage has a limit of so many seconds if one is given.
pub(crate) fn build(
    nodes: &[Node],
    limits: &[Option<u32>],
    bench: &Bench,
) -> Result<Built, String> {
    let mut p = Pipeline::builder::<()>("schedule");
    let mut given: Vec<Given> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let mut actor = Actor {
            at,
            at_once: node.at_once,
            required: Vec::new(),
            optional: Vec::new(),
            bench: bench.clone(),
        };
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for up in &node.after {
            match given[*up] {
                Given::Required(handle) => {
                    actor.required.push(*up);
                    required.push(handle);
                }
                Given::Optional(handle) => {
                    actor.optional.push(*up);
                    optional.push(handle);
                }
            }
        }
        let mut stage = p.stage(format!("s{at}"), actor);
        if let Some(seconds) = limits[at] {
            stage = stage.timeout(Duration::from_secs(seconds.into()));
        } else if at % 2 == 0 {
            // A limit that is armed, and never passes.
            stage = stage.timeout(Duration::from_secs(24 * 3600));
        }
        let upstream = (required, optional);
        given.push(if node.optional {
            Given::Optional(stage.optional().after(upstream))
        } else {
            Given::Required(stage.after(upstream))
        });
    }
    let built = match given.last().copied() {
        Some(Given::Optional(output)) => {
            p.output(output).build().map(|p| Built::Optional(p, given))
        }
        Some(Given::Required(output)) => {
            p.output(output).build().map(|p| Built::Required(p, given))
        }
        None => return Err("a schedule has at least one stage".to_owned()),
    };
    built.map_err(|error| error.to_string())
}

pub(crate) fn width(width: Option<NonZeroUsize>) -> NonZeroUsize {
    width.unwrap_or(NonZeroUsize::MAX)
}
