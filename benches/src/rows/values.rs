//! Rows 10 to 13: single operations on what a stage can see, a fork of its context and an event it offers, and whether the
//! sink behind counts right.

use super::{Bench, Comparison, Side};
use crate::harness::{Batch, Figure, Flavor};
use crate::limits;
use crate::report::{Column, Line, Must, Verdict};
use crate::subject::Queue;

/// Row 10: a fork costs no more than a clone and some sixty nanoseconds, whatever the context holds.
pub(super) fn fork(bench: &Bench) -> Vec<Line> {
    let line = |(messages, depth)| {
        operation(
            bench,
            "10",
            format!("fork, {messages} messages, depth {depth}"),
            ("Arc clone", limits::arc_clone()),
            Side {
                batch: bench.default.fork(messages, depth),
                must: Some(Must::Plus(60.0)),
            },
        )
    };
    [(0, 0), (20, 0), (200, 0), (0, 10)].map(line).into()
}

/// Row 11.
pub(super) fn emit(bench: &Bench) -> Vec<Line> {
    let roomy = bench.default.emit(Queue::Roomy);
    let full = bench.default.emit(Queue::Full);
    vec![
        operation(
            bench,
            "11",
            "an event is accepted and taken".to_owned(),
            ("mpsc try_send", limits::try_send_accepted()),
            Side::times(roomy, 2.0),
        ),
        operation(
            bench,
            "11",
            "an event is dropped".to_owned(),
            ("mpsc try_send", limits::try_send_refused()),
            Side {
                batch: full,
                must: Some(Must::AtMost(20.0)),
            },
        ),
    ]
}

/// Row 12: the events of a stage cost less in batches than one by one.
pub(super) fn status(bench: &Bench) -> Vec<Line> {
    vec![operation(
        bench,
        "12",
        "both status events of a stage".to_owned(),
        ("two mpsc try_send", limits::try_send_twice()),
        Side::times(bench.default.status(), 0.5),
    )]
}

/// Row 13: nothing is miscounted, and `stop` returns soon after the last event was delivered. The slowest of several.
pub(super) fn account(bench: &Bench) -> Vec<Line> {
    let line = |flavor: Flavor| {
        let mut fastest: Option<Figure> = None;
        let line = |figure| Line {
            limit: Some(Figure {
                wall: STOP,
                cpu: STOP,
            }),
            default: Column::new(figure, Some(Must::Times(1.0))),
            ..Line::of_limit(
                "13",
                "stop after the last event".to_owned(),
                flavor.name(),
                "ten milliseconds",
            )
        };
        for _ in 0..=bench.harness.effort.repeats {
            let slowest = slowest_stop(bench, flavor);
            fastest = fastest
                .or(slowest)
                .zip(slowest)
                .map(|(one, other)| one.min(other));
            if line(fastest).verdict() <= Verdict::Ok {
                break;
            }
        }
        line(fastest)
    };
    Flavor::BOTH.map(line).into()
}

/// Ten milliseconds.
const STOP: f64 = 10_000_000.0;

fn slowest_stop(bench: &Bench, flavor: Flavor) -> Option<Figure> {
    let took = (0..10).map(|_| {
        let flood = bench.default.account()?;
        Some(bench.harness.run(flavor, flood).as_secs_f64() * 1e9)
    });
    let slowest = took.flatten().reduce(f64::max)?;
    Some(Figure {
        wall: slowest,
        cpu: slowest,
    })
}

fn operation(
    bench: &Bench,
    row: &'static str,
    measure: String,
    (by, limit): (&'static str, Batch),
    default: Side,
) -> Line {
    let flavor = Flavor::Ct;
    bench.compare(Comparison {
        row,
        measure,
        flavor,
        units: 1,
        by,
        limit,
        bare: Side::none(),
        default,
    })
}
