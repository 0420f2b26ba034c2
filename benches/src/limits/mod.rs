//! The hand-written limits: for each case, the cheapest program that a person would write without an engine.
//!
//! They do nothing but start stages in order and hand values on: no names, no errors, no events, no cancellation. They
//! are part of the measurement and read like code that ships.

mod await_dyn;
mod buffered;
mod counters;
mod dag_fu;
mod joinset;
mod kahn;
mod micro;
mod sleeps;
mod tower;

use std::sync::Arc;

pub(crate) use buffered::buffered;
pub(crate) use kahn::kahn;
pub(crate) use micro::{arc_clone, try_send_accepted, try_send_refused, try_send_twice};
pub(crate) use sleeps::{sleeps_at_once, sleeps_in_a_row, sleeps_in_two_rows};
pub(crate) use tower::tower;

use crate::harness::Batch;
use crate::stage::Output;
use crate::topology::Plan;

/// A hand-written way to run a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Awaits one boxed stage after the other; for chains only.
    AwaitDyn,
    /// No driver at all: the last dependency to end starts what waits for it.
    Counters,
    /// One task that polls all running stages together.
    DagFu,
    /// One task a stage.
    JoinSet,
}

impl Driver {
    /// As the table has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AwaitDyn => "await_dyn",
            Self::Counters => "counters",
            Self::DagFu => "dag_fu",
            Self::JoinSet => "JoinSet",
        }
    }

    /// Runs `plan` again and again.
    pub(crate) fn batch(self, plan: &Arc<Plan>) -> Batch {
        let plan = Arc::clone(plan);
        match self {
            Self::AwaitDyn => await_dyn::batch(plan),
            Self::Counters => counters::batch(plan),
            Self::DagFu => dag_fu::batch(plan),
            Self::JoinSet => joinset::batch(plan),
        }
    }
}

/// What a stage gets: the largest step among its dependencies' outputs.
fn input<'a>(plan: &Plan, stage: usize, output: impl Fn(usize) -> Option<&'a Output>) -> i64 {
    let steps = plan
        .deps(stage)
        .iter()
        .filter_map(|dep| Some(output(*dep as usize)?.step));
    steps.max().unwrap_or(0)
}

/// A place for each stage's output.
fn empty(plan: &Plan) -> Vec<Option<Output>> {
    (0..plan.len()).map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::harness::{current_thread, inside_a_task};
    use crate::stage::Body;
    use crate::topology::{chain, fan, random_dag, skew, source_fan};

    const ANY_SHAPE: [Driver; 3] = [Driver::Counters, Driver::DagFu, Driver::JoinSet];

    /// A driver that starts a stage too early, or forgets one, gets the longest path wrong; `batch` asserts it.
    fn runs(driver: Driver, plan: Plan) {
        let batch = driver.batch(&Arc::new(plan));
        inside_a_task(&current_thread().unwrap(), batch(3));
    }

    #[test]
    fn every_driver_gets_the_longest_path_of_every_shape() {
        for driver in ANY_SHAPE {
            runs(driver, chain(10, &Body::Ready));
            runs(driver, fan(50, &Body::Ready));
            runs(driver, source_fan(50));
            runs(driver, random_dag(1000));
            runs(driver, skew(6, Duration::from_micros(10)));
        }
        runs(Driver::AwaitDyn, chain(10, &Body::Ready));
    }

    #[test]
    fn a_plan_without_stages_ends() {
        for driver in [ANY_SHAPE.as_slice(), &[Driver::AwaitDyn]].concat() {
            runs(driver, chain(0, &Body::Ready));
        }
    }
}
