//! Properties: many random cases, and the seed that repeats them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};

/// A property that must hold for many random cases.
///
/// How many is said by `PROPTEST_CASES`, and where the numbers start by `STAGEFLOW_SEED`; without these it tries the number
/// of cases it was made with, from somewhere new each time. When it fails it gives the smallest case it finds, and the seed.
///
/// ```
/// use proptest::prop_assert_eq;
/// use stageflow_testkit::{Property, dag::Dags};
///
/// Property::new("a stage never waits for itself").cases(100).holds_for(&Dags::up_to(20), |spec| {
///     let selfish = spec.stages.iter().enumerate().filter(|(at, stage)| stage.upstream.contains(at)).count();
///     prop_assert_eq!(selfish, 0);
///     Ok(())
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Property {
    name: &'static str,
    cases: u32,
    seed: u64,
}

impl Property {
    /// A property that is tried 256 times.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let seed = variable("STAGEFLOW_SEED").or_else(|| variable("PROPTEST_RNG_SEED"));
        Self {
            name,
            cases: variable("PROPTEST_CASES").map_or(256, saturated),
            seed: seed.unwrap_or_else(|| RandomState::new().hash_one(name)),
        }
    }

    /// Tries so many cases unless `PROPTEST_CASES` says otherwise.
    #[must_use]
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = variable("PROPTEST_CASES").map_or(cases, saturated);
        self
    }

    /// Each case counts as so many of `PROPTEST_CASES`: for properties whose cases take long.
    #[must_use]
    pub fn each_counts_as(mut self, cases: u32) -> Self {
        if variable("PROPTEST_CASES").is_some() {
            self.cases = (self.cases / cases.max(1)).max(1);
        }
        self
    }

    /// How many cases it tries.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.cases
    }

    /// Where its numbers start.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Tries all cases.
    ///
    /// # Panics
    ///
    /// If the property does not hold for one of them.
    #[track_caller]
    pub fn holds_for<S: Strategy>(&self, cases: &S, test: impl Fn(S::Value) -> TestCaseResult) {
        let config = Config {
            cases: self.cases,
            rng_seed: RngSeed::Fixed(self.seed),
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..Config::default()
        };
        let again = format!(
            "repeat it with STAGEFLOW_SEED={} PROPTEST_CASES={}",
            self.seed, self.cases
        );
        match TestRunner::new(config).run(cases, test) {
            Ok(()) => {}
            Err(TestError::Fail(reason, case)) => {
                panic!(
                    "not so: {}\n  because: {reason}\n  for: {case:?}\n  {again}",
                    self.name
                )
            }
            Err(TestError::Abort(reason)) => {
                panic!("gave up: {}\n  because: {reason}\n  {again}", self.name)
            }
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn saturated(cases: u64) -> u32 {
    u32::try_from(cases).unwrap_or(u32::MAX)
}
