//! All rows, with hand-written drivers in Stageflow's place and hardly any time to measure.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{ALL, Args, Batch, Bench, Effort, Harness, Subject, Verdict, run};
use crate::limits::{self, Driver};
use crate::subject::{Control, Placement, Queue};
use crate::topology::{Listing, Plan};

/// Answers every question the table asks.
struct StandIn;

impl Subject for StandIn {
    fn pipeline(&self, plan: &Arc<Plan>, placement: Placement) -> Option<Batch> {
        let driver = match placement {
            Placement::Inline => Driver::DagFu,
            Placement::Spawned => Driver::Counters,
        };
        Some(driver.batch(plan))
    }

    fn build(&self, listing: &Arc<Listing>) -> Option<Batch> {
        Some(limits::kahn(listing))
    }

    fn fork(&self, _: usize, _: usize) -> Option<Batch> {
        Some(limits::arc_clone())
    }

    fn control(&self, _: Control) -> Option<Batch> {
        Some(limits::buffered(1))
    }

    fn account(&self) -> Option<BoxFuture<'static, Duration>> {
        Some(Box::pin(async { Duration::ZERO }))
    }

    fn status(&self) -> Option<Batch> {
        Some(limits::try_send_twice())
    }

    fn emit(&self, queue: Queue) -> Option<Batch> {
        Some(match queue {
            Queue::Roomy => limits::try_send_accepted(),
            Queue::Full => limits::try_send_refused(),
        })
    }
}

fn bench() -> Bench {
    let effort = Effort {
        rounds: 1,
        slice: Duration::from_nanos(1),
        budget: Duration::ZERO,
        repeats: 0,
    };
    Bench {
        harness: Harness::new(effort).unwrap(),
        bare: Box::new(StandIn),
        default: Box::new(StandIn),
    }
}

/// Rows that run other programs.
const OUTSIDE: [&str; 3] = ["2", "15", "16"];

/// Rows that are shown and not judged.
const SHOWN: [&str; 3] = ["limits", "23", "24"];

#[test]
fn every_row_that_is_timed_comes_to_a_verdict() {
    let bench = bench();
    for row in ALL
        .iter()
        .filter(|row| !OUTSIDE.contains(&row.name) && !SHOWN.contains(&row.name))
    {
        for line in (row.lines)(&bench) {
            assert!(
                line.limit.is_some(),
                "row {}: {} has no limit",
                row.name,
                line.measure
            );
            assert_ne!(
                line.verdict(),
                Verdict::Absent,
                "row {}: {}",
                row.name,
                line.measure
            );
            assert_eq!(line.row, row.name, "{}", line.measure);
        }
    }
}

#[test]
fn the_limits_alone_are_not_judged() {
    for line in super::limits::lines(&bench()) {
        assert_eq!(line.verdict(), Verdict::Absent, "{}", line.measure);
    }
}

#[test]
fn what_layers_add_is_shown_and_not_judged() {
    let lines = super::layers::lines(&bench());
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.bare.figure.is_some(), "{}", line.measure);
        assert_eq!(line.verdict(), Verdict::Absent, "{}", line.measure);
    }
}

#[test]
fn an_unknown_row_is_refused_with_the_known_ones() {
    let args = Args {
        quick: true,
        json: None,
        rows: vec!["99".to_owned()],
    };
    let error = run(&args).err().unwrap();
    assert!(
        error.starts_with("no row `99`; there are: limits, 1, 2"),
        "{error}"
    );
}
