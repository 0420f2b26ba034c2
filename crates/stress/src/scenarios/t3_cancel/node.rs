//! The stages of a case.

use std::any::Any;
use std::net::UdpSocket;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stageflow::graph::{BuildError, Placement, StageBuilder};
use stageflow::prelude::*;
use stageflow_testkit::dag::StageSpec;
use tokio::time::Instant;

use super::books::{Act, Books, SHARED, strikes};
use super::case::{Care, Case, Mode, Part, State};
use crate::ledger::effects::What;
use crate::ledger::resources::{Keeper, Token};

/// As good as never, for a stage that waits for something that does not come.
const LONG: Duration = Duration::from_secs(3600);

/// How long a portion of work takes, where the clock is paused.
const PORTION: Duration = Duration::from_millis(10);

/// The pipeline of a case.
pub(super) fn build(case: &Arc<Case>, books: &Books) -> Result<Pipeline<u64, u64>, BuildError> {
    let mut p = Pipeline::builder("case");
    let input = p.input::<u64>();
    let (mut handles, mut output) = (Vec::<Given>::new(), None);
    for (at, spec) in case.spec.stages.iter().enumerate() {
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for up in &spec.upstream {
            match handles[*up] {
                Given::Required(handle) => required.push(handle),
                Given::Optional(handle) => optional.push(handle),
            }
        }
        let node = Node {
            at,
            case: Arc::clone(case),
            books: books.clone(),
        };
        let stage = set(p.stage(spec.name(), node), spec, case.parts[at].mode);
        let upstream = (required, optional, input);
        handles.push(if spec.optional {
            Given::Optional(stage.optional().after(upstream))
        } else {
            let handle = stage.after(upstream);
            output = Some(handle).filter(|_| at == case.spec.output).or(output);
            Given::Required(handle)
        });
    }
    match output {
        Some(output) => p.output(output).build(),
        None => p.output(input).build(),
    }
}

#[derive(Clone, Copy)]
enum Given {
    Optional(Handle<Option<u64>>),
    Required(Handle<u64>),
}

fn set<'a>(stage: StageBuilder<'a, Node>, spec: &StageSpec, mode: Mode) -> StageBuilder<'a, Node> {
    let stage = match spec.placement {
        Placement::Blocking => stage.blocking(),
        Placement::Spawn => stage.spawn(),
        _ => stage.inline(),
    };
    let limit = spec.limit.map(|limit| Duration::from_millis(limit.into()));
    match (mode, limit) {
        (_, None) => stage,
        (Mode::Idle, Some(limit)) => stage.idle_timeout(limit),
        (_, Some(limit)) => stage.timeout(limit),
    }
}

struct Node {
    at: usize,
    case: Arc<Case>,
    books: Books,
}

/// What a stage holds while it works: some of it goes with its future, some is left to its first cleanup.
#[derive(Default)]
struct Held {
    mine: Vec<(Token, Box<dyn Any + Send>)>,
    left: Vec<Box<dyn Any + Send>>,
}

impl Stage for Node {
    type Input = (Vec<Arc<u64>>, Vec<Arc<Option<u64>>>, Arc<u64>);
    type Output = u64;

    async fn run(
        &self,
        cx: StageCx,
        (required, optional, input): Self::Input,
    ) -> Result<u64, Stop> {
        let live = self.books.probe.enter();
        self.books.effects.done(&cx, What::Started);
        let (mut required, mut optional) = (required.into_iter(), optional.into_iter());
        let stages = &self.case.spec.stages;
        let upstream: Vec<Option<u64>> = stages[self.at]
            .upstream
            .iter()
            .map(|up| match stages[*up].optional {
                true => optional.next().and_then(|value| *value),
                false => required.next().map(|value| *value),
            })
            .collect();
        self.work(&cx).await?;
        self.end()?;
        if self.part().around.is_none() {
            self.books.effects.done(&cx, What::Gave);
        }
        live.done();
        debug_assert_eq!(*input, self.case.spec.input, "the input is the run's");
        Ok(self.case.spec.value(self.at, &upstream))
    }
}

impl Node {
    fn part(&self) -> &Part {
        &self.case.parts[self.at]
    }

    /// Takes hold of things, registers cleanups, and waits, here and there in between.
    async fn work(&self, cx: &StageCx) -> Result<(), Stop> {
        let part = self.part();
        let mut held = self.take_hold().await?;
        let mut cares = part.cares.iter().enumerate();
        for _ in 0..part.awaits {
            if let Some((nth, care)) = cares.next() {
                self.register(cx, nth, *care, &mut held.left);
            }
            self.step().await?;
            tokio::task::yield_now().await;
        }
        for (nth, care) in cares.by_ref().take(part.cares.len().div_ceil(2)) {
            self.register(cx, nth, *care, &mut held.left);
        }
        let (before, after) = part.around.unwrap_or_default();
        let delay = self.case.spec.stages[self.at].delay - before - after;
        let (early, late) = (delay / 2, delay - delay / 2);
        self.wait(cx, early).await?;
        for (nth, care) in cares {
            self.register(cx, nth, *care, &mut held.left);
        }
        self.wait(cx, late).await?;
        held.mine.clear();
        Ok(())
    }

    fn end(&self) -> Result<(), Stop> {
        let said = format!("injected into s{}", self.at);
        if strikes(self.books.unlogged.as_ref()) {
            return Err(Stop::fail("nobody knows of this"));
        }
        match self.part().mode {
            Mode::Ok | Mode::Timeout | Mode::Idle | Mode::Hang => Ok(()),
            Mode::Error => Err(std::io::Error::other(said).into()),
            Mode::Fail | Mode::Malformed => Err(Stop::transient(said)),
            Mode::Panic => resume_unwind(Box::new(said)),
            Mode::Retry => Err(Stop::retry(said)),
            Mode::CancelRun => Err(Stop::cancel(said)),
            Mode::Skip => Err(Stop::skip(said)),
        }
    }

    async fn take_hold(&self) -> Result<Held, Stop> {
        let mut held = Held::default();
        let token = |name| self.books.resources.acquire(self.at, name, Keeper::Stage);
        match self.part().state {
            State::Locks => {
                let permit = Arc::clone(&self.books.permits).acquire_owned().await?;
                let lock = &self.books.locks[self.at % SHARED];
                let lock = Arc::clone(lock).lock_owned().await;
                held.mine.push((token("lock"), Box::new(lock)));
                held.left.push(Box::new(permit));
            }
            State::Files => {
                if let Some(scratch) = &self.books.scratch {
                    let dir = tempfile::tempdir_in(scratch.path())?;
                    let file = std::fs::File::create(dir.path().join("file"))?;
                    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
                    held.mine.push((token("socket"), Box::new(socket)));
                    held.left.push(Box::new((file, dir)));
                }
            }
            _ => {}
        }
        Ok(held)
    }

    async fn step(&self) -> Result<(), Stop> {
        let inline = self.case.spec.stages[self.at].is_inline();
        let books = &self.books;
        match books.steps.step(self.at, inline, &books.stamps) {
            None => {}
            Some(Act::Call(call)) => call(),
            Some(Act::Stop(stop)) => return Err(stop),
            Some(Act::Panic) => resume_unwind(Box::new(format!("injected into s{}", self.at))),
            Some(Act::Hang) => std::future::pending().await,
        }
        Ok(())
    }

    async fn wait(&self, cx: &StageCx, millis: u32) -> Result<(), Stop> {
        let hangs = self.part().mode == Mode::Hang;
        if millis == 0 && !hangs {
            return Ok(());
        }
        let length = if hangs {
            LONG
        } else {
            Duration::from_millis(millis.into())
        };
        let time_up = tokio::time::sleep(length);
        match self.part().state {
            State::Asleep | State::Locks | State::Files => time_up.await,
            State::Clings => {
                let _slow = Slow;
                time_up.await;
            }
            State::Channel => {
                let (_sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
                tokio::select! {
                    () = time_up => {}
                    _ = receiver.recv() => {}
                }
            }
            State::Listens => tokio::select! {
                biased;
                () = cx.cancelled() => cx.check()?,
                () = time_up => {}
            },
            State::Computes => self.compute(cx, length).await?,
        }
        Ok(())
    }

    /// Works in small portions with a checkpoint after each. Under a paused clock a portion takes some time: if it took none,
    /// the clock would never go on.
    async fn compute(&self, cx: &StageCx, length: Duration) -> Result<(), Stop> {
        let end = Instant::now() + length;
        let mut sum = self.at as u64;
        while Instant::now() < end {
            for _ in 0..200 {
                sum = std::hint::black_box(sum.rotate_left(5).wrapping_mul(3));
            }
            cx.check()?;
            if self.case.exact {
                let left = end.saturating_duration_since(Instant::now());
                tokio::time::sleep(left.min(PORTION)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn register(&self, cx: &StageCx, nth: usize, care: Care, left: &mut Vec<Box<dyn Any + Send>>) {
        let name: Arc<str> = format!("s{}/{nth}", self.at).into();
        let things = std::mem::take(left);
        let (books, again, at) = (self.books.clone(), cx.clone(), self.at);
        let resources = &self.books.resources;
        resources.acquire_for_cleanup(at, &name, |token| {
            if strikes(books.forgotten.as_ref()) {
                return drop(token);
            }
            cx.on_cleanup(Arc::clone(&name), move || async move {
                clean_up(care, token, &books, (&again, at)).await?;
                drop(things);
                Ok::<(), String>(())
            });
        });
    }
}

/// Lets go slowly: whoever does not wait for it is seen to be too early.
struct Slow;

impl Drop for Slow {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_millis(2);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }
}

async fn clean_up(
    care: Care,
    token: Token,
    books: &Books,
    (cx, at): (&StageCx, usize),
) -> Result<(), String> {
    token.begin();
    if books.probe.live() + books.around.live() > 0 {
        books.crowded.fetch_add(1, Ordering::SeqCst);
    }
    if cx.cancel_reason().is_none() {
        books.blind.fetch_add(1, Ordering::SeqCst);
    }
    match care {
        Care::Hangs => std::future::pending().await,
        Care::Takes(millis) if millis > 0 => {
            tokio::time::sleep(Duration::from_millis(millis.into())).await;
        }
        _ => {}
    }
    token.release();
    if strikes(books.doubled.as_ref()) {
        token.release();
    }
    match care {
        Care::Fails => Err("it was to fail".to_owned()),
        Care::Panics => resume_unwind(Box::new("it was to panic")),
        Care::Adds => {
            let name: Arc<str> = format!("s{at}/added").into();
            books.resources.acquire_for_cleanup(at, &name, |token| {
                cx.on_cleanup(Arc::clone(&name), move || async move {
                    token.begin();
                    token.release();
                });
            });
            Ok(())
        }
        Care::Takes(_) | Care::Hangs => Ok(()),
    }
}
