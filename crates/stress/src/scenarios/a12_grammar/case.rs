//! One run: a random DAG, and one of the ways in which a run can end.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use rand::{Rng, RngExt as _};
use serde_json::json;
use stageflow::context::{RunIdentity, StageCx, Stop};
use stageflow::executor::{Engine, RunOptions, RunReport};
use stageflow::graph::{Handle, Pipeline, Stage};
use tokio::task::yield_now;

use super::book::{Attempt, Book, Did, How};
use crate::Seed;
use crate::explore::wiring;

/// How long a stage may take that hangs.
const LIMIT: Duration = Duration::from_millis(2);
/// How long a run may take in which one does.
const DEADLINE: Duration = Duration::from_millis(4);

/// What happens to a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    CancelAfter(u32),
    Deadline,
    DropAfter(u32),
    Nothing,
}

/// What a stage does in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Cancel,
    Fail,
    Hang,
    Ok,
    Panic,
    Skip,
}

pub(super) struct Case {
    pub(super) up: Vec<Vec<usize>>,
    pub(super) optional: Vec<bool>,
    pub(super) outside: Outside,
    width: Option<NonZeroUsize>,
    scripts: Vec<Script>,
}

#[derive(Clone, Copy, Debug)]
struct Script {
    act: Act,
    /// How many attempts fail first.
    flaky: u32,
    yields: u8,
    notes: u8,
    cleans: bool,
    limited: bool,
}

impl Case {
    pub(super) fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let stages = if rng.random_ratio(1, 6) {
            rng.random_range(400..=1000)
        } else {
            rng.random_range(1..=36)
        };
        let most = rng.random_range(1..=3);
        let mut scripts: Vec<Script> = (0..stages).map(|_| Script::calm(&mut rng)).collect();
        let mut optional: Vec<bool> = (0..stages).map(|_| rng.random_ratio(1, 8)).collect();
        // Two troubles of one kind, and not in every run.
        let (act, outside) = trouble(&mut rng);
        for _ in 0..2 {
            let at = rng.random_range(0..stages);
            scripts[at].act = act;
            scripts[at].limited = act == Act::Hang && outside == Outside::Nothing;
            scripts[at].flaky = if rng.random_ratio(1, 4) { 2 } else { 0 };
            optional[at] = rng.random_ratio(1, 2);
        }
        // The last one gives the output.
        optional[stages - 1] = false;
        Self {
            up: wiring(&mut rng, stages, most),
            optional,
            outside,
            width: NonZeroUsize::new(rng.random_range(0..=6)),
            scripts,
        }
    }

    fn pipeline(&self, book: &Book) -> Result<Pipeline<(), u64>, String> {
        let mut p = Pipeline::builder::<()>("grammar");
        let mut given: Vec<Given> = Vec::with_capacity(self.up.len());
        for (at, up) in self.up.iter().enumerate() {
            let (mut required, mut optional) = (Vec::new(), Vec::new());
            for up in up {
                match given[*up] {
                    Given::Required(handle) => required.push(handle),
                    Given::Optional(handle) => optional.push(handle),
                }
            }
            let script = self.scripts[at];
            let actor = Actor {
                at: at as u32,
                script,
                book: book.clone(),
            };
            let mut stage = p.stage(format!("s{at}"), actor);
            if script.limited {
                stage = stage.timeout(LIMIT);
            }
            given.push(if self.optional[at] {
                Given::Optional(stage.optional().after((required, optional)))
            } else {
                Given::Required(stage.after((required, optional)))
            });
        }
        match given.last() {
            Some(Given::Required(output)) => {
                p.output(*output).build().map_err(|error| error.to_string())
            }
            _ => Err("the last stage gives the output".to_owned()),
        }
    }

    /// Runs it. The report, unless the run was dropped.
    pub(super) async fn run(
        &self,
        engine: &Engine,
        identity: &RunIdentity,
        book: &Book,
    ) -> Result<Option<RunReport<u64>>, String> {
        let pipeline = self.pipeline(book)?;
        let mut options = RunOptions::new().identity(identity.clone());
        if let Some(width) = self.width {
            options = options.concurrency(width);
        }
        if self.outside == Outside::Deadline {
            options = options.deadline(DEADLINE);
        }
        let run = engine.run(&pipeline, (), options);
        Ok(match self.outside {
            Outside::Nothing | Outside::Deadline => Some(run.await),
            Outside::CancelAfter(turns) => {
                let handle = run.handle();
                let cancelled = async {
                    pause(turns).await;
                    handle.cancel("somebody asked")
                };
                Some(join(run, cancelled).await.0)
            }
            Outside::DropAfter(turns) => match select(run, pin!(pause(turns))).await {
                Either::Left((report, _)) => Some(report),
                Either::Right(((), run)) => {
                    drop(run);
                    None
                }
            },
        })
    }
}

async fn pause(turns: u32) {
    for _ in 0..turns {
        yield_now().await;
    }
}

fn trouble(rng: &mut impl Rng) -> (Act, Outside) {
    let turns = rng.random_range(0..=8);
    match rng.random_range(0..20_u32) {
        0 | 1 => (Act::Fail, Outside::Nothing),
        2 => (Act::Panic, Outside::Nothing),
        3 | 4 => (Act::Skip, Outside::Nothing),
        5 => (Act::Cancel, Outside::Nothing),
        6 => (Act::Hang, Outside::Nothing),
        7 => (Act::Hang, Outside::Deadline),
        8 => (Act::Ok, Outside::CancelAfter(turns)),
        9 => (Act::Hang, Outside::CancelAfter(turns)),
        10 => (Act::Ok, Outside::DropAfter(turns)),
        11 => (Act::Hang, Outside::DropAfter(turns)),
        _ => (Act::Ok, Outside::Nothing),
    }
}

impl Script {
    /// What most stages do.
    fn calm(rng: &mut impl Rng) -> Self {
        Self {
            act: Act::Ok,
            flaky: 0,
            yields: if rng.random_ratio(1, 4) {
                rng.random_range(0..=3)
            } else {
                0
            },
            notes: if rng.random_ratio(1, 6) {
                rng.random_range(1..=2)
            } else {
                0
            },
            cleans: rng.random_ratio(1, 12),
            limited: false,
        }
    }
}

#[derive(Clone, Copy)]
enum Given {
    Optional(Handle<Option<u64>>),
    Required(Handle<u64>),
}

struct Actor {
    at: u32,
    script: Script,
    book: Book,
}

impl Stage for Actor {
    type Input = (Vec<Arc<u64>>, Vec<Arc<Option<u64>>>);
    type Output = u64;

    async fn run(&self, cx: StageCx, _upstream: Self::Input) -> Result<u64, Stop> {
        let number = cx.attempt().get();
        let mut attempt = Attempt::begin(&self.book, self.at, number);
        for note in 0..u64::from(self.script.notes) {
            cx.try_emit("stress.note", json!(note))?;
            self.book.write(Did::Note(self.at, number, note));
        }
        if self.script.cleans && number == 1 {
            let (book, at) = (self.book.clone(), self.at);
            self.book.pages().registered.push(at);
            cx.on_cleanup("tidy", async move || book.write(Did::Clean(at)));
        }
        pause(self.script.yields.into()).await;
        if number <= self.script.flaky {
            attempt.how = How::Fail;
            return Err(Stop::transient("not yet"));
        }
        match self.script.act {
            Act::Ok => {
                attempt.how = How::Ok;
                Ok(u64::from(self.at))
            }
            Act::Fail => {
                attempt.how = How::Fail;
                Err(Stop::fail("it was told to"))
            }
            Act::Panic => {
                attempt.how = How::Fail;
                std::panic::resume_unwind(Box::new("it was told to"))
            }
            Act::Skip => {
                attempt.how = How::Skip;
                Err(Stop::skip("it was told to"))
            }
            Act::Cancel => {
                self.book.pages().asked = true;
                Err(Stop::cancel("it was told to"))
            }
            Act::Hang => std::future::pending().await,
        }
    }
}
