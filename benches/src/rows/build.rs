//! Row 14: from names to a validated graph.

use std::sync::Arc;

use super::linear::quotient;
use super::{Bench, Cases, Comparison, Side, ratio_line};
use crate::harness::Flavor;
use crate::limits::kahn;
use crate::report::{Column, Line, Must};
use crate::topology::Listing;

/// What building by hand is called in the table.
const BY: &str = "Kahn, SipHash";

/// All of row 14.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    let mut lines = Vec::new();
    for stages in [1000, 10_000, 100_000] {
        lines.push(line(
            bench,
            format!("build DAG {stages}, a stage"),
            Listing::random_dag(stages),
        ));
    }
    // Recursion over a chain that is written last stage first overflows the stack.
    lines.push(line(
        bench,
        "build reversed chain 100000".to_owned(),
        Listing::reversed_chain(100_000),
    ));
    lines.extend(growth(bench));
    lines
}

fn line(bench: &Bench, measure: String, listing: Listing) -> Line {
    let listing = Arc::new(listing);
    bench.compare(Comparison {
        row: "14",
        measure,
        flavor: Flavor::Ct,
        units: listing.stages.len(),
        by: BY,
        limit: kahn(&listing),
        bare: Side::none(),
        default: Side::times(bench.default.build(&listing), 2.5),
    })
}

/// What a stage costs among 100 000, divided by what it costs among 1000.
fn growth(bench: &Bench) -> Vec<Line> {
    let mut cases = Cases::default();
    for (stages, limit, ours) in [
        (1000, "limit few", "ours few"),
        (100_000, "limit many", "ours many"),
    ] {
        let listing = Arc::new(Listing::random_dag(stages));
        cases.add(limit, Flavor::Ct, stages, Some(kahn(&listing)));
        cases.add(ours, Flavor::Ct, stages, bench.default.build(&listing));
    }
    bench.settle(bench.harness.effort, &cases, |figures| {
        vec![Line {
            limit: quotient(figures, "limit many", "limit few"),
            default: Column::new(
                quotient(figures, "ours many", "ours few"),
                Some(Must::AtMost(5.0)),
            ),
            ..ratio_line("14", "build, a stage of 100 000 / of 1000".to_owned(), BY)
        }]
    })
}
