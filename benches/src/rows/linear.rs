//! Row 7: a stage costs the same whether there are a hundred or ten thousand. An engine that looks through all stages
//! when one of them ends fails here by a factor of a hundred.

use std::sync::Arc;

use super::{Bench, Cases, Comparison, Side, ratio_line};
use crate::harness::{Figure, Figures, Flavor};
use crate::limits::Driver;
use crate::report::{Column, Line, Must};
use crate::stage::Body;
use crate::subject::Placement;
use crate::topology::{self, Plan};

/// All of row 7.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    let ready_chain: fn(usize) -> Plan = |stages| topology::chain(stages, &Body::Ready);
    let mut lines = growth(bench, "chain", Driver::AwaitDyn, ready_chain);
    lines.extend(growth(
        bench,
        "1 -> n",
        Driver::JoinSet,
        topology::source_fan,
    ));
    lines.push(large_dag(bench));
    lines
}

/// What a stage costs among 10 000, divided by what it costs among 100.
fn growth(bench: &Bench, shape: &str, driver: Driver, plan: fn(usize) -> Plan) -> Vec<Line> {
    let mut cases = Cases::default();
    for (size, names) in [
        (100, ["limit few", "bare few", "default few"]),
        (10_000, ["limit many", "bare many", "default many"]),
    ] {
        let plan = Arc::new(plan(size));
        let [limit, bare, default] = names;
        cases.add(limit, Flavor::Ct, plan.len(), Some(driver.batch(&plan)));
        cases.add(
            bare,
            Flavor::Ct,
            plan.len(),
            bench.bare.pipeline(&plan, Placement::Inline),
        );
        cases.add(
            default,
            Flavor::Ct,
            plan.len(),
            bench.default.pipeline(&plan, Placement::Inline),
        );
    }
    bench.settle(bench.harness.effort, &cases, |figures| {
        vec![Line {
            limit: quotient(figures, "limit many", "limit few"),
            bare: Column::new(
                quotient(figures, "bare many", "bare few"),
                Some(Must::AtMost(1.3)),
            ),
            default: Column::new(
                quotient(figures, "default many", "default few"),
                Some(Must::AtMost(1.3)),
            ),
            ..ratio_line(
                "7",
                format!("{shape}, a stage of 10 000 / of 100"),
                driver.name(),
            )
        }]
    })
}

fn large_dag(bench: &Bench) -> Line {
    let plan = Arc::new(topology::random_dag(10_000));
    bench.compare(Comparison {
        row: "7",
        measure: "DAG 10 000, a stage".to_owned(),
        flavor: Flavor::Ct,
        units: plan.len(),
        by: Driver::DagFu.name(),
        limit: Driver::DagFu.batch(&plan),
        bare: Side::times(bench.bare.pipeline(&plan, Placement::Inline), 1.3),
        default: Side::times(bench.default.pipeline(&plan, Placement::Inline), 1.7),
    })
}

/// One figure in terms of another.
pub(super) fn quotient(figures: &Figures, of: &str, by: &str) -> Option<Figure> {
    let (of, by) = (figures.get(of)?, figures.get(by)?);
    Some(Figure {
        wall: of.wall / by.wall,
        cpu: of.cpu / by.cpu,
    })
}
