//! Measures cases side by side.
//!
//! On a shared machine a neighbour can take a core at any moment. So time is cut into slices of about two milliseconds,
//! the cases of one comparison take turns slice by slice, and what counts is the fastest slice of each: load only ever
//! adds. Every slice runs inside a spawned task, because at the root of `block_on` a wake costs an `epoll_wait` that no
//! server pays.

use std::collections::BTreeMap;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

/// Runs the measured thing as many times as it is told.
pub(crate) type Batch = Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>;

/// One side of a comparison.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) flavor: Flavor,
    /// What one run is divided by: stages, forks, events.
    pub(crate) units: f64,
    pub(crate) batch: Batch,
}

/// Which of tokio's two runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Current thread.
    Ct,
    /// Multi thread with two workers.
    Mt,
}

impl Flavor {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Ct, Self::Mt];

    /// As the table has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Mt => "mt",
        }
    }
}

/// Nanoseconds a unit: of the clock on the wall, and of all cores together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Figure {
    const NONE: Self = Self {
        wall: f64::INFINITY,
        cpu: f64::INFINITY,
    };

    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            cpu: self.cpu.min(other.cpu),
        }
    }
}

/// What was measured, by the cases' names.
pub(crate) type Figures = BTreeMap<&'static str, Figure>;

/// How long to look.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) slice: Duration,
    /// A comparison of slow cases gets fewer rounds, so that it ends in about this time.
    pub(crate) budget: Duration,
    /// How often a comparison beyond its bound is repeated before it is believed.
    pub(crate) repeats: u32,
}

impl Effort {
    const SLICE: Duration = Duration::from_millis(2);

    /// Good enough to quote.
    pub(crate) const FULL: Self = Self {
        rounds: 40,
        slice: Self::SLICE,
        budget: Duration::from_secs(6),
        repeats: 2,
    };
    /// Good enough to see a slip.
    pub(crate) const QUICK: Self = Self {
        rounds: 10,
        slice: Self::SLICE,
        budget: Duration::from_secs(1),
        repeats: 2,
    };
    /// For measured things that need longer to settle.
    pub(crate) fn with_slice(self, slice: Duration) -> Self {
        Self { slice, ..self }
    }
}

/// Both runtimes, and how long to look.
pub(crate) struct Harness {
    ct: Runtime,
    mt: Runtime,
    pub(crate) effort: Effort,
}

impl Harness {
    /// Starts the runtimes; neither has an I/O driver, which nothing here needs.
    pub(crate) fn new(effort: Effort) -> std::io::Result<Self> {
        let mt = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()?;
        Ok(Self {
            ct: current_thread()?,
            mt,
            effort,
        })
    }

    /// What this gives, inside a task: for what measures itself.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        flavor: Flavor,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let runtime = match flavor {
            Flavor::Ct => &self.ct,
            Flavor::Mt => &self.mt,
        };
        inside_a_task(runtime, future)
    }

    /// The fastest slice of each case.
    pub(crate) fn measure(&self, cases: &BTreeMap<&'static str, Case>, effort: Effort) -> Figures {
        let mut figures: Figures = cases.keys().map(|name| (*name, Figure::NONE)).collect();
        let mut counts = BTreeMap::new();
        let mut round = Duration::ZERO;
        for (name, case) in cases {
            let (count, took) = self.calibrate(case, effort.slice);
            counts.insert(*name, count);
            round += took;
        }
        for _ in 0..effort.rounds_of(round) {
            for (name, case) in cases {
                let figure = self.slice(case, counts[name]).per(case.units, counts[name]);
                figures
                    .entry(name)
                    .and_modify(|best| *best = best.min(figure));
            }
        }
        figures
    }

    /// How many runs fill a slice, and how long that many take.
    fn calibrate(&self, case: &Case, slice: Duration) -> (u64, Duration) {
        let mut count = 1;
        loop {
            let took = self.quickest_of(3, case, count, slice / 2);
            if took * 2 > slice {
                return (count, took);
            }
            // Ten times at most: the first runs are cold and promise too little.
            let growth = slice.as_nanos() / took.as_nanos().max(1);
            count *= u64::try_from(growth.clamp(2, 10)).unwrap_or(10);
        }
    }

    /// Looks again while it takes longer than `enough`: a single look may have met a neighbour, and believing it would
    /// leave too few runs in every slice to come.
    fn quickest_of(&self, looks: u32, case: &Case, count: u64, enough: Duration) -> Duration {
        let mut quickest = self.slice(case, count).wall;
        for _ in 1..looks {
            if quickest <= enough {
                break;
            }
            quickest = quickest.min(self.slice(case, count).wall);
        }
        quickest
    }

    fn slice(&self, case: &Case, count: u64) -> Taken {
        let runtime = match case.flavor {
            Flavor::Ct => &self.ct,
            Flavor::Mt => &self.mt,
        };
        let batch = Arc::clone(&case.batch);
        inside_a_task(runtime, async move {
            let (wall, cpu) = (Instant::now(), cpu_time());
            batch(count).await;
            Taken {
                cpu: cpu_time().saturating_sub(cpu),
                wall: wall.elapsed(),
            }
        })
    }
}

impl Effort {
    fn rounds_of(self, round: Duration) -> u32 {
        let affordable = self.budget.as_nanos() / round.as_nanos().max(1);
        u32::try_from(affordable)
            .unwrap_or(u32::MAX)
            .clamp(3.min(self.rounds), self.rounds)
    }
}

struct Taken {
    wall: Duration,
    cpu: Duration,
}

impl Taken {
    fn per(&self, units: f64, count: u64) -> Figure {
        #[expect(clippy::cast_precision_loss, reason = "no slice has 2^52 runs")]
        let runs = units * count as f64;
        let nanos = |time: Duration| time.as_secs_f64() * 1e9 / runs;
        Figure {
            wall: nanos(self.wall),
            cpu: nanos(self.cpu),
        }
    }
}

/// Adds what a second look found.
pub(crate) fn merge(figures: &mut Figures, again: &Figures) {
    for (name, figure) in figures {
        if let Some(other) = again.get(name) {
            *figure = figure.min(*other);
        }
    }
}

/// Runs `future` to its end as a task, and passes its panic on.
pub(crate) fn inside_a_task<T: Send + 'static>(
    runtime: &Runtime,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    match runtime.block_on(async { tokio::spawn(future).await }) {
        Ok(value) => value,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}

/// The runtime of the `ct` columns.
pub(crate) fn current_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

/// What all threads of this process have used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn case(flavor: Flavor, batch: Batch) -> Case {
        Case {
            flavor,
            units: 1.0,
            batch,
        }
    }

    fn effort(rounds: u32) -> Effort {
        Effort {
            rounds,
            slice: Duration::from_micros(200),
            ..Effort::QUICK
        }
    }

    #[test]
    fn a_hundred_times_the_work_takes_longer() {
        let work = |steps: u64| -> Batch {
            Arc::new(move |count| {
                Box::pin(async move {
                    for step in 0..count * steps {
                        std::hint::black_box(step);
                    }
                })
            })
        };
        let harness = Harness::new(effort(50)).unwrap();
        let cases = BTreeMap::from([
            ("once", case(Flavor::Ct, work(1000))),
            ("hundredfold", case(Flavor::Ct, work(100_000))),
        ]);
        let figures = harness.measure(&cases, harness.effort);
        // No more than the order: on a busy machine a test must not ask for a ratio.
        assert!(
            figures["hundredfold"].wall > figures["once"].wall,
            "{figures:?}"
        );
        assert!(figures["once"].cpu > 0.0, "{figures:?}");
    }

    #[test]
    fn a_slow_case_gets_few_rounds_and_counts_each_run_once() {
        let runs = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&runs);
        let slow: Batch = Arc::new(move |count| {
            seen.fetch_add(count, Ordering::Relaxed);
            Box::pin(tokio::time::sleep(Duration::from_millis(3)))
        });
        let budget = Duration::from_millis(1);
        let harness = Harness::new(Effort {
            budget,
            ..effort(50)
        })
        .unwrap();
        harness.measure(
            &BTreeMap::from([("slow", case(Flavor::Mt, slow))]),
            harness.effort,
        );
        assert_eq!(runs.load(Ordering::Relaxed), 3 + 3);
    }

    #[test]
    fn merging_keeps_the_smaller_of_each_clock() {
        let mut figures = Figures::from([(
            "x",
            Figure {
                wall: 2.0,
                cpu: 1.0,
            },
        )]);
        merge(
            &mut figures,
            &Figures::from([(
                "x",
                Figure {
                    wall: 1.0,
                    cpu: 3.0,
                },
            )]),
        );
        assert_eq!(
            figures["x"],
            Figure {
                wall: 1.0,
                cpu: 1.0
            }
        );
    }
}
