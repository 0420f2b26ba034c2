//! Rows 8 and 9: many runs at a time. Anything that all runs write to shows here, as a second core that does not help.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::linear::quotient;
use super::{Bench, Cases, Comparison, Side, ratio_line};
use crate::harness::{Batch, Effort, Figure, Figures, Flavor};
use crate::limits::Driver;
use crate::report::{Column, Line, Must};
use crate::stage::Body;
use crate::subject::Placement;
use crate::topology::{self, Plan};

/// Row 8: so many tasks on one core, each running the pipeline again and again.
pub(super) fn one_core(bench: &Bench) -> Vec<Line> {
    let plan = ten_stages();
    let line = |tasks| {
        bench.compare_with(
            effort(bench),
            Comparison {
                row: "8",
                measure: format!("{tasks} at a time, a run of 10"),
                flavor: Flavor::Ct,
                units: tasks,
                by: Driver::AwaitDyn.name(),
                limit: at_a_time(tasks, Driver::AwaitDyn.batch(&plan)),
                // A quarter, and an eighth, of the limit's runs a second.
                bare: Side::times(ours(bench, tasks).0, 1.0 / 0.25),
                default: Side::times(ours(bench, tasks).1, 1.0 / 0.12),
            },
        )
    };
    [1, 64, 1000].map(line).into()
}

/// Row 9: the time of a run on two cores divided by that on one, and what it costs in CPU.
pub(super) fn two_cores(bench: &Bench) -> Vec<Line> {
    [64, 1000]
        .into_iter()
        .flat_map(|tasks| scaling(bench, tasks))
        .collect()
}

fn scaling(bench: &Bench, tasks: usize) -> Vec<Line> {
    let plan = ten_stages();
    let limit = at_a_time(tasks, Driver::AwaitDyn.batch(&plan));
    let (bare, default) = ours(bench, tasks);
    let mut cases = Cases::default();
    for (flavor, names) in [
        (Flavor::Ct, ["limit ct", "bare ct", "default ct"]),
        (Flavor::Mt, ["limit mt", "bare mt", "default mt"]),
    ] {
        cases.add(names[0], flavor, tasks, Some(Arc::clone(&limit)));
        cases.add(names[1], flavor, tasks, bare.clone());
        cases.add(names[2], flavor, tasks, default.clone());
    }
    bench.settle(effort(bench), &cases, |figures| {
        scaling_lines(figures, tasks)
    })
}

fn scaling_lines(figures: &Figures, tasks: usize) -> Vec<Line> {
    let line = |what: &str, pick: fn(Figure) -> f64, bare: Must, default: Must| {
        let ratio = |mt, ct| {
            let picked = pick(quotient(figures, mt, ct)?);
            Some(Figure {
                wall: picked,
                cpu: picked,
            })
        };
        Line {
            limit: ratio("limit mt", "limit ct"),
            bare: Column::new(ratio("bare mt", "bare ct"), Some(bare)),
            default: Column::new(ratio("default mt", "default ct"), Some(default)),
            ..ratio_line(
                "9",
                format!("{tasks} at a time, {what} mt / ct"),
                Driver::AwaitDyn.name(),
            )
        }
    };
    vec![
        // 1.7 and 1.5 times the runs, where a second core that is free gives 2.0. The limit says what it gives now.
        line(
            "wall",
            |figure| figure.wall,
            Must::Times(2.0 / 1.7),
            Must::Times(2.0 / 1.5),
        ),
        line(
            "CPU",
            |figure| figure.cpu,
            Must::AtMost(1.2),
            Must::AtMost(1.3),
        ),
    ]
}

fn ten_stages() -> Arc<Plan> {
    Arc::new(topology::chain(10, &Body::Ready))
}

fn ours(bench: &Bench, tasks: usize) -> (Option<Batch>, Option<Batch>) {
    let plan = ten_stages();
    let batch = |one: Option<Batch>| one.map(|one| at_a_time(tasks, one));
    (
        batch(bench.bare.pipeline(&plan, Placement::Inline)),
        batch(bench.default.pipeline(&plan, Placement::Inline)),
    )
}

/// Long slices, so that starting the tasks does not count for much.
fn effort(bench: &Bench) -> Effort {
    let effort = bench.harness.effort;
    effort.with_slice(effort.slice.max(Duration::from_micros(1)) * 10)
}

fn at_a_time(tasks: usize, one: Batch) -> Batch {
    Arc::new(move |count| {
        let one = Arc::clone(&one);
        Box::pin(async move {
            let tasks: JoinSet<()> = (0..tasks).map(|_| one(count)).collect();
            tasks.join_all().await;
        })
    })
}
