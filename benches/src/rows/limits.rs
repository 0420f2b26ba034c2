//! The hand-written side alone: what this machine makes of it.

use std::sync::Arc;

use super::{Bench, Comparison, Side};
use crate::harness::{Batch, Flavor};
use crate::limits::{Driver, arc_clone, kahn, try_send_accepted, try_send_refused};
use crate::report::Line;
use crate::stage::Body;
use crate::topology::{self, Listing, Plan};

/// Every driver on every shape that it can run, then the single operations.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    const ANY: [Driver; 3] = [Driver::Counters, Driver::DagFu, Driver::JoinSet];
    let shapes: [(&str, Plan); 5] = [
        ("chain 10, a stage", topology::chain(10, &Body::Ready)),
        ("chain 1000, a stage", topology::chain(1000, &Body::Ready)),
        ("fan 50 -> 1, a stage", topology::fan(50, &Body::Ready)),
        ("DAG 1000, a stage", topology::random_dag(1000)),
        ("1 -> 10 000, a stage", topology::source_fan(10_000)),
    ];
    let mut lines = Vec::new();
    for (name, plan) in shapes {
        let plan = Arc::new(plan);
        let chain = name.starts_with("chain").then_some(Driver::AwaitDyn);
        for driver in chain.into_iter().chain(ANY) {
            for flavor in Flavor::BOTH {
                lines.push(line(
                    bench,
                    name,
                    flavor,
                    plan.len(),
                    (driver.name(), driver.batch(&plan)),
                ));
            }
        }
    }
    let listing = Arc::new(Listing::random_dag(1000));
    let operations = [
        (
            "build DAG 1000, a stage",
            1000,
            ("Kahn, SipHash", kahn(&listing)),
        ),
        ("clone and drop", 1, ("Arc clone", arc_clone())),
        (
            "accepted and taken",
            1,
            ("mpsc try_send", try_send_accepted()),
        ),
        ("refused", 1, ("mpsc try_send", try_send_refused())),
    ];
    lines
        .extend(operations.map(|(name, units, limit)| line(bench, name, Flavor::Ct, units, limit)));
    lines
}

fn line(
    bench: &Bench,
    name: &str,
    flavor: Flavor,
    units: usize,
    (by, limit): (&'static str, Batch),
) -> Line {
    bench.compare(Comparison {
        row: "limits",
        measure: name.to_owned(),
        flavor,
        units,
        by,
        limit,
        bare: Side::none(),
        default: Side::none(),
    })
}
