//! Row 25: what one tenant notices of another.

use super::Bench;
use crate::harness::{Figure, Flavor};
use crate::neighbours::{self, Tail};
use crate::report::{Column, Line, Must};

/// The quietest of several rounds: what else the machine does is in both halves of a round, but not evenly.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    Flavor::BOTH.map(|flavor| line(bench, flavor)).into()
}

fn line(bench: &Bench, flavor: Flavor) -> Line {
    let rounds = (0..bench.harness.effort.repeats.max(3))
        .map(|_| bench.harness.run(flavor, neighbours::tail()));
    let best = rounds.reduce(|best, other| {
        if times(&other) < times(&best) {
            other
        } else {
            best
        }
    });
    let (alone, beside) = best
        .map(|tail| (figure(tail.alone), figure(tail.beside)))
        .unzip();
    Line {
        limit: alone,
        default: Column::new(beside, Some(Must::Times(1.5))),
        ..Line::of_limit(
            "25",
            "the p99 of a tenant's runs beside 100 times its load".to_owned(),
            flavor.name(),
            "alone",
        )
    }
}

fn times(tail: &Tail) -> f64 {
    tail.beside.as_secs_f64() / tail.alone.as_secs_f64()
}

fn figure(took: std::time::Duration) -> Figure {
    let nanos = took.as_secs_f64() * 1e9;
    Figure {
        wall: nanos,
        cpu: nanos,
    }
}
