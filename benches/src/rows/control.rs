//! Rows 20 to 22: what it costs to branch, to nest and to go over items, beside the plainest thing that does the same.

use super::{Bench, Comparison, Side};
use crate::harness::Flavor;
use crate::limits;
use crate::report::Line;
use crate::subject::Control;

/// Row 20: a route with three arms and a merge run as many stages as a chain of two.
pub(super) fn route(bench: &Bench) -> Vec<Line> {
    beside(
        bench,
        "20",
        "a route with three arms and a merge, a run",
        Control::Route,
        "chain of two",
        Control::Chain,
    )
}

/// Row 21: a run inside a run, beside two runs one after the other.
pub(super) fn child(bench: &Bench) -> Vec<Line> {
    beside(
        bench,
        "21",
        "a run inside a run",
        Control::Child,
        "two runs",
        Control::Runs,
    )
}

/// Row 22: a map beside a hand-written stream that keeps the order.
pub(super) fn map(bench: &Bench) -> Vec<Line> {
    const ITEMS: usize = 10_000;
    vec![bench.compare(Comparison {
        row: "22",
        measure: "a map over 10 000, an item".to_owned(),
        flavor: Flavor::Ct,
        units: ITEMS,
        by: "buffered(16)",
        limit: limits::buffered(ITEMS),
        bare: Side::times(bench.bare.control(Control::Map(ITEMS)), 8.0),
        default: Side::times(bench.default.control(Control::Map(ITEMS)), 10.0),
    })]
}

/// A pipeline beside a simpler one, on the same engine.
fn beside(
    bench: &Bench,
    row: &'static str,
    measure: &str,
    control: Control,
    by: &'static str,
    yardstick: Control,
) -> Vec<Line> {
    let Some(limit) = bench.default.control(yardstick) else {
        return Vec::new();
    };
    vec![bench.compare(Comparison {
        row,
        measure: measure.to_owned(),
        flavor: Flavor::Ct,
        units: 1,
        by,
        limit,
        bare: Side::none(),
        default: Side::times(bench.default.control(control), 2.0),
    })]
}
