//! Rows 1 and 3 to 6: what a stage costs, by the shape of the graph.

use std::sync::Arc;

use super::{Bench, Comparison, Side};
use crate::harness::Flavor;
use crate::limits::Driver;
use crate::report::Line;
use crate::stage::Body;
use crate::subject::Placement;
use crate::topology::{self, Plan};

/// A shape with what it is compared to and how much dearer it may be.
struct Shape {
    row: &'static str,
    name: String,
    plan: Plan,
    driver: Driver,
    placement: Placement,
    bare: f64,
    default: f64,
}

/// Row 1.
pub(super) fn chain(bench: &Bench) -> Vec<Line> {
    let shape = |stages| Shape {
        row: "1",
        name: format!("chain {stages}, a stage"),
        plan: topology::chain(stages, &Body::Ready),
        driver: Driver::AwaitDyn,
        placement: Placement::Inline,
        bare: 4.0,
        default: 8.5,
    };
    on_both_runtimes(bench, [10, 1000].map(shape))
}

/// Row 3.
pub(super) fn fan(bench: &Bench) -> Vec<Line> {
    let shape = |width| Shape {
        row: "3",
        placement: Placement::Inline,
        bare: 0.30,
        default: 0.60,
        ..fan_of(width)
    };
    on_both_runtimes(bench, [50, 1000].map(shape))
}

/// Row 4.
pub(super) fn spawned_fan(bench: &Bench) -> Vec<Line> {
    let shape = |width| {
        let shape = fan_of(width);
        let name = format!("{}, spawned", shape.name);
        Shape {
            row: "4",
            name,
            placement: Placement::Spawned,
            bare: 1.2,
            default: 1.7,
            ..shape
        }
    };
    on_both_runtimes(bench, [50, 1000].map(shape))
}

/// Row 5.
pub(super) fn random_dag(bench: &Bench) -> Vec<Line> {
    let shape = Shape {
        row: "5",
        name: "DAG 1000, a stage".to_owned(),
        plan: topology::random_dag(1000),
        driver: Driver::DagFu,
        placement: Placement::Inline,
        bare: 1.2,
        default: 2.2,
    };
    on_both_runtimes(bench, [shape])
}

/// Row 6.
pub(super) fn source_fan(bench: &Bench) -> Vec<Line> {
    let shape = Shape {
        row: "6",
        name: "1 -> 10 000, a stage".to_owned(),
        plan: topology::source_fan(10_000),
        driver: Driver::JoinSet,
        placement: Placement::Inline,
        bare: 0.30,
        default: 0.60,
    };
    on_both_runtimes(bench, [shape])
}

fn fan_of(width: usize) -> Shape {
    Shape {
        row: "3",
        name: format!("fan {width} -> 1, a stage"),
        plan: topology::fan(width, &Body::Ready),
        driver: Driver::JoinSet,
        placement: Placement::Inline,
        bare: 0.0,
        default: 0.0,
    }
}

fn on_both_runtimes(bench: &Bench, shapes: impl IntoIterator<Item = Shape>) -> Vec<Line> {
    let mut lines = Vec::new();
    for Shape {
        row,
        name,
        plan,
        driver,
        placement,
        bare,
        default,
    } in shapes
    {
        let plan = Arc::new(plan);
        lines.extend(Flavor::BOTH.map(|flavor| {
            bench.compare(Comparison {
                row,
                measure: name.clone(),
                flavor,
                units: plan.len(),
                by: driver.name(),
                limit: driver.batch(&plan),
                bare: Side::times(bench.bare.pipeline(&plan, placement), bare),
                default: Side::times(bench.default.pipeline(&plan, placement), default),
            })
        }));
    }
    lines
}
