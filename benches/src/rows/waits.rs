//! Rows 18 and 19: stages that take time. The engine must add nothing that can be noticed, keep nobody waiting for a
//! stage that he does not depend on, and use the second core when it is asked to.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, Comparison, Side};
use crate::harness::{Batch, Flavor};
use crate::limits::{Driver, sleeps_at_once, sleeps_in_a_row, sleeps_in_two_rows};
use crate::report::Line;
use crate::stage::Body;
use crate::subject::Placement;
use crate::topology::{self, Plan};

const MILLI: Duration = Duration::from_millis(1);

/// Row 18.
pub(super) fn sleeps(bench: &Bench) -> Vec<Line> {
    let chain = Arc::new(topology::chain(10, &Body::Sleep(MILLI)));
    let fan = Arc::new(topology::fan(50, &Body::Sleep(MILLI)));
    // The fan's last stage sleeps too, so the raw program sleeps once more.
    let raw_fan = in_sequence(sleeps_at_once(50, MILLI), sleeps_in_a_row(1, MILLI));
    let mut lines = Vec::new();
    for flavor in Flavor::BOTH {
        for (name, plan, raw) in [
            (
                "chain 10 of 1 ms, a run",
                &chain,
                sleeps_in_a_row(10, MILLI),
            ),
            ("fan 50 -> 1 of 1 ms, a run", &fan, Arc::clone(&raw_fan)),
        ] {
            lines.push(bench.compare(Comparison {
                row: "18",
                measure: name.to_owned(),
                flavor,
                units: 1,
                by: "raw sleeps",
                limit: raw,
                bare: Side::times(bench.bare.pipeline(plan, Placement::Inline), 1.05),
                default: Side::times(bench.default.pipeline(plan, Placement::Inline), 1.05),
            }));
        }
    }
    lines
}

/// Row 19.
pub(super) fn skew(bench: &Bench) -> Vec<Line> {
    let ten_millis = Duration::from_millis(10);
    let opposed = Arc::new(topology::skew(10, ten_millis));
    // About 200 us a stage.
    let computing = Arc::new(topology::fan(16, &Body::Work(100_000)));
    let ours = |plan: &Arc<Plan>, placement| bench.default.pipeline(plan, placement);
    vec![
        bench.compare(Comparison {
            row: "19",
            measure: "opposed chains of 10 x 10 ms, a run".to_owned(),
            flavor: Flavor::Ct,
            units: 1,
            by: "raw sleeps",
            limit: sleeps_in_two_rows(5, ten_millis),
            bare: Side::none(),
            default: Side::times(ours(&opposed, Placement::Inline), 1.1),
        }),
        bench.compare(Comparison {
            row: "19",
            measure: "fan 16 that computes, spawned, a run".to_owned(),
            flavor: Flavor::Mt,
            units: 1,
            by: Driver::JoinSet.name(),
            limit: Driver::JoinSet.batch(&computing),
            bare: Side::none(),
            default: Side::times(ours(&computing, Placement::Spawned), 1.15),
        }),
    ]
}

/// Runs `first` and then `second`, so many times.
fn in_sequence(first: Batch, second: Batch) -> Batch {
    Arc::new(move |count| {
        let (first, second) = (Arc::clone(&first), Arc::clone(&second));
        Box::pin(async move {
            for _ in 0..count {
                first(1).await;
                second(1).await;
            }
        })
    })
}
