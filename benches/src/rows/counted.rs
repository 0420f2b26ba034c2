//! Rows 2, 15 and 16: what is counted rather than timed, by programs of their own.

use super::Bench;
use crate::alloc;
use crate::harness::Figure;
use crate::instructions;
use crate::limits::Driver;
use crate::report::{Column, Line, Must, Unit};

/// Row 2: instructions repeat to a fraction of a percent, whatever the neighbours do.
pub(super) fn instructions(_: &Bench) -> Vec<Line> {
    let line = |(stages, bare, default)| {
        let count = |who| instructions::per_stage(who, stages).map(exactly);
        Line {
            unit: Unit::Instructions,
            limit: count("limit"),
            bare: Column::new(count("bare"), Some(Must::Times(bare))),
            default: Column::new(count("default"), Some(Must::Times(default))),
            ..Line::of_limit(
                "2",
                format!("chain {stages}, a stage"),
                "ct",
                Driver::AwaitDyn.name(),
            )
        }
    };
    [(10, 4.0, 6.0), (1000, 3.0, 5.0)].map(line).into()
}

/// Row 15.
pub(super) fn allocations(_: &Bench) -> Vec<Line> {
    let line = |measure, name, bare, default| {
        counted(
            "15",
            measure,
            Unit::Allocations,
            Driver::AwaitDyn.name(),
            name,
            [bare, default],
        )
    };
    vec![
        line(
            "allocations, a stage of a chain",
            alloc::PER_STAGE,
            1.2,
            2.0,
        ),
        line("allocations, fixed, a run", alloc::PER_RUN, 8.0, 14.0),
    ]
}

/// Row 16.
pub(super) fn heap(_: &Bench) -> Vec<Line> {
    let line = |measure, by: Driver, name, bare, default| {
        counted("16", measure, Unit::Bytes, by.name(), name, [bare, default])
    };
    vec![
        line(
            "live heap, a stage of 1 -> 10 000",
            Driver::DagFu,
            alloc::STATE,
            200.0,
            400.0,
        ),
        line(
            "live heap, a run of 10 under way",
            Driver::AwaitDyn,
            alloc::IN_FLIGHT,
            1229.0,
            2048.0,
        ),
    ]
}

fn counted(
    row: &'static str,
    measure: &str,
    unit: Unit,
    by: &'static str,
    name: &str,
    [bare, default]: [f64; 2],
) -> Line {
    let figure = |who: &str| alloc::read(who, name).map(exactly);
    Line {
        unit,
        limit: figure("limit"),
        bare: Column::new(figure("bare"), Some(Must::AtMost(bare))),
        default: Column::new(figure("default"), Some(Must::AtMost(default))),
        ..Line::of_limit(row, measure.to_owned(), "ct", by)
    }
}

/// A count has no clock.
fn exactly(count: f64) -> Figure {
    Figure {
        wall: count,
        cpu: count,
    }
}
