//! Runtimes for tests: one with a paused clock, and each kind in turn.

use std::fmt;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Runs a test under a paused clock: timers fire in order and at once, and times are exact.
///
/// The clock jumps to the next timer whenever nothing else is left to do. A test that waits for something that never
/// happens would wait forever; here it panics, because the clock has reached a year.
///
/// Stages placed with `.blocking()` must not wait on tokio's clock here: it stands still while a blocking thread is at work.
///
/// ```
/// use std::time::Duration;
/// use tokio::time::{Instant, sleep};
///
/// let elapsed = stageflow_testkit::paused(async {
///     let started = Instant::now();
///     sleep(Duration::from_secs(3600)).await;
///     started.elapsed()
/// });
/// assert_eq!(elapsed, Duration::from_secs(3600));
/// ```
///
/// # Panics
///
/// If the test hangs, or tokio cannot make a runtime.
pub fn paused<F: Future>(test: F) -> F::Output {
    TestRuntime::paused().block_on(test)
}

/// A runtime that fails a test that hangs. Make one for many short tests in a row; [`paused`] and [`on_each_runtime`] make
/// one for each test.
#[derive(Debug)]
pub struct TestRuntime {
    runtime: Runtime,
    /// How long a test may take on this runtime's clock.
    limit: Duration,
}

impl TestRuntime {
    /// A year takes no time on a paused clock.
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// On one thread, with a paused clock.
    ///
    /// # Panics
    ///
    /// If tokio cannot make a runtime.
    #[must_use]
    pub fn paused() -> Self {
        Self {
            runtime: built(
                Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true),
            ),
            limit: Self::YEAR,
        }
    }

    /// Of this kind, with a running clock.
    ///
    /// # Panics
    ///
    /// If tokio cannot make a runtime.
    #[must_use]
    pub fn running(flavour: Flavour) -> Self {
        let mut builder = match flavour {
            Flavour::CurrentThread => Builder::new_current_thread(),
            Flavour::MultiThread => Builder::new_multi_thread(),
        };
        Self {
            runtime: built(builder.worker_threads(2).enable_time()),
            limit: Self::MINUTE,
        }
    }

    /// Runs one test.
    ///
    /// # Panics
    ///
    /// If the test does, or hangs: for a minute, or a year if the clock is paused.
    pub fn block_on<F: Future>(&self, test: F) -> F::Output {
        self.runtime.block_on(async {
            match tokio::time::timeout(self.limit, test).await {
                Ok(output) => output,
                Err(_) => panic!("the test hangs: it has not ended after {:?}", self.limit),
            }
        })
    }
}

/// Which kind of runtime a test is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flavour {
    /// Everything on one thread.
    CurrentThread,
    /// Two worker threads.
    MultiThread,
}

impl Flavour {
    /// Both.
    pub const ALL: [Self; 2] = [Self::CurrentThread, Self::MultiThread];
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        })
    }
}

/// Runs the same test on a current-thread runtime and on one with two workers, with running clocks. If it fails, the output
/// says where.
///
/// ```
/// stageflow_testkit::on_each_runtime(|_| async {
///     tokio::task::yield_now().await;
/// });
/// ```
///
/// # Panics
///
/// If the test does, or hangs for a minute, or tokio cannot make a runtime.
pub fn on_each_runtime<F: Future<Output = ()>>(test: impl Fn(Flavour) -> F) {
    for flavour in Flavour::ALL {
        let _say = SayWhere(flavour);
        TestRuntime::running(flavour).block_on(test(flavour));
    }
}

/// Says which runtime a test failed on.
struct SayWhere(Flavour);

impl Drop for SayWhere {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows what a failing test prints"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was on the {} runtime", self.0);
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "a test without a runtime has nothing better to do than to fail"
)]
fn built(builder: &mut Builder) -> Runtime {
    builder.build().expect("tokio makes a runtime")
}
