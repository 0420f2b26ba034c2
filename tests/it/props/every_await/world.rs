//! What the pipelines of this fuzz are made of: moments to stop at, and a ledger of what is held.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::thread::{self, ThreadId};

use stageflow::executor::RunHandle;
use stageflow::interceptors::{Call, Ending, Flow, Next, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

/// Everything around one run. Clones are the same world.
#[derive(Clone)]
pub(super) struct World(Arc<Inner>);

struct Inner {
    /// The moment at which the run is stopped, from 1.
    at: usize,
    moments: AtomicUsize,
    fired: AtomicBool,
    /// Whether it was in the thread that polls the run.
    fired_here: AtomicBool,
    handle: OnceLock<RunHandle>,
    /// How often each thing that was acquired was released.
    ledger: Mutex<Vec<u32>>,
    late_starts: AtomicUsize,
    thread: ThreadId,
    sink: RecordingSink,
    budget: OnceLock<Budget>,
    expected: Mutex<Vec<Expected>>,
}

/// What must be so after the run, and what is wrong if it is not.
type Expected = (&'static str, Box<dyn Fn() -> bool + Send>);

impl World {
    pub(super) fn stopped_at(at: usize) -> Self {
        Self(Arc::new(Inner {
            at,
            moments: AtomicUsize::new(0),
            fired: AtomicBool::new(false),
            fired_here: AtomicBool::new(false),
            handle: OnceLock::new(),
            ledger: Mutex::default(),
            late_starts: AtomicUsize::new(0),
            thread: thread::current().id(),
            sink: RecordingSink::new(),
            budget: OnceLock::new(),
            expected: Mutex::default(),
        }))
    }

    /// The run spends from this budget.
    pub(super) fn paid_by(&self, budget: &Budget) {
        assert!(
            self.0.budget.set(budget.clone()).is_ok(),
            "one budget in a world"
        );
    }

    /// After the run this must be so; if not, it is wrong that `otherwise`.
    pub(super) fn expect(
        &self,
        otherwise: &'static str,
        is_so: impl Fn() -> bool + Send + 'static,
    ) {
        let mut expected = self.0.expected.lock().unwrap();
        expected.push((otherwise, Box::new(is_so)));
    }

    /// What the run is started with.
    pub(super) fn options(&self) -> RunOptions {
        match self.0.budget.get() {
            Some(budget) => RunOptions::new().budget(budget.clone()),
            None => RunOptions::new(),
        }
    }

    /// What cancels the run at its moment. Without it whoever polls has to look at [`World::has_fired`].
    pub(super) fn arm(&self, handle: RunHandle) {
        assert!(self.0.handle.set(handle).is_ok(), "one run in a world");
    }

    /// One moment passes.
    pub(super) fn pass(&self) {
        if self.0.moments.fetch_add(1, Ordering::SeqCst) + 1 == self.0.at {
            if let Some(handle) = self.0.handle.get() {
                handle.cancel("here");
            }
            let here = thread::current().id() == self.0.thread;
            self.0.fired_here.store(here, Ordering::SeqCst);
            self.0.fired.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn has_fired(&self) -> bool {
        self.0.fired.load(Ordering::SeqCst)
    }

    pub(super) fn sink(&self) -> &RecordingSink {
        &self.0.sink
    }

    /// What is wrong, after the run.
    pub(super) fn wrong(&self) -> Option<String> {
        let ledger = self.0.ledger.lock().unwrap();
        if let Some((id, times)) = (0..).zip(&*ledger).find(|(_, times)| **times != 1) {
            return Some(format!("resource {id} was released {times} times"));
        }
        let expected = self.0.expected.lock().unwrap();
        if let Some((otherwise, _)) = expected.iter().find(|(_, is_so)| !is_so()) {
            return Some((*otherwise).to_owned());
        }
        let late = self.0.late_starts.load(Ordering::SeqCst);
        (late > 0).then(|| format!("{late} stages started after the cancel"))
    }

    /// An engine starts here, with a layer that makes a moment of every start and end of a stage.
    pub(super) fn engine(&self) -> stageflow::executor::EngineBuilder {
        crate::support::undisturbed()
            .events(self.0.sink.clone())
            .intercept(Doors(self.clone()))
    }

    /// A stage that does this while it holds two things: one until its future is gone, one until its run ends.
    pub(super) fn stage<F, Fut>(
        &self,
        work: F,
    ) -> impl Stage<Input = Arc<u64>, Output = u64> + use<F, Fut>
    where
        F: Fn(Self, StageCx, u64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<u64, Stop>> + Send + 'static,
    {
        let world = self.clone();
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            world.starts();
            let held = world.acquire();
            let until_the_end = world.acquire();
            let in_cleanup = world.clone();
            cx.on_cleanup("give it back", async move || {
                in_cleanup.pauses(1).await;
                // Given back by hand: a cleanup that is dropped on the way does not.
                until_the_end.release();
            });
            let work = Box::pin(work(world.clone(), cx, *n));
            let world = world.clone();
            async move {
                let held = held;
                let result = world.counted(work).await;
                held.release();
                result
            }
        })
    }

    /// A stage that suspends so many times.
    pub(super) fn works(
        &self,
        awaits: usize,
    ) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
        self.stage(move |world, _, n| async move {
            world.pauses(awaits).await;
            Ok(n + 1)
        })
    }

    /// Suspends so many times, and is ready again at once each time.
    pub(super) async fn pauses(&self, times: usize) {
        for _ in 0..times {
            self.pass();
            tokio::task::yield_now().await;
        }
        self.pass();
    }

    /// Makes a moment of every poll.
    pub(super) async fn counted<F: Future>(&self, mut work: Pin<Box<F>>) -> F::Output {
        std::future::poll_fn(|cx| {
            self.pass();
            work.as_mut().poll(cx)
        })
        .await
    }

    /// The same, until it is over or its moment has come; `None` then.
    pub(super) async fn until_fired<F: Future>(&self, mut work: Pin<Box<F>>) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            self.pass();
            match work.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.has_fired() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Between two threads a stage may start at the very moment of the cancel.
    fn starts(&self) {
        let armed = self.0.handle.get().is_some();
        let fired_here = self.0.fired_here.load(Ordering::SeqCst);
        if armed && fired_here && thread::current().id() == self.0.thread {
            self.0.late_starts.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn acquire(&self) -> Held {
        let mut ledger = self.0.ledger.lock().unwrap();
        ledger.push(0);
        Held {
            world: self.clone(),
            id: ledger.len() - 1,
        }
    }
}

/// Something that was acquired. Its drop gives it back, too: once is enough, and twice is a violation.
struct Held {
    world: World,
    id: usize,
}

impl Held {
    fn release(self) {
        drop(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.world.0.ledger.lock().unwrap()[self.id] += 1;
    }
}

/// A hook: a moment on the way in, and one on the way out.
struct Doors(World);

impl Hook for Doors {
    fn name(&self) -> &str {
        "doors"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        self.0.pass();
        Flow::Continue
    }

    fn exit(&self, _: &mut Call<'_>, _: &mut Ending) {
        self.0.pass();
    }
}

/// A layer that waits before and after, and calls again if an attempt failed.
pub(super) struct Waits(pub(super) World);

#[async_trait]
impl Around for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        self.0.pauses(1).await;
        let mut ending = next.run(call).await;
        if matches!(ending, Ending::Failed(_)) {
            self.0.pauses(1).await;
            ending = next.run(call).await;
        }
        self.0.pauses(1).await;
        ending
    }
}
