//! A little more than the downstream takes, for long.

use std::time::Duration;

use super::flow::{Flaw, Pace, Shape, flood};
use super::{flawed, judge, pour};
use crate::harness::process::resident;
use crate::{Breach, Lab, LabError, Op, Runtime, Scenario, Tier};

/// Offered for each event that is taken.
const LOAD: f64 = 1.05;

/// Events a second of each of four producers.
const RATE: u32 = 2_500;

/// Six minutes; at the scale 10 it is an hour.
const LENGTH: Duration = Duration::from_secs(360);

/// How much this process may grow: far less than what an hour's losses would be.
const GROWTH: f64 = 8.0 * 1_048_576.0;

pub(in crate::scenarios) fn soak() -> Scenario {
    let scenario = Scenario::new("T1-SOAK", "a little too much, for six minutes or an hour")
        .proves("a sink that is offered 5 % more than it takes loses just these 5 %, says so, and does not grow")
        .tier(Tier::Monthly)
        .expected(LENGTH + Duration::from_secs(10));
    flawed(scenario).run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let shape = Shape {
        producers: 4,
        rate: RATE,
        length: LENGTH * lab.scale(),
        audit: 20,
        pace: Pace::Rate(f64::from(4 * RATE) / LOAD),
    };
    if lab.is_control() {
        return pour(lab, Runtime::Mt2, shape);
    }
    let none = Flaw {
        drops: false,
        loses: false,
        forgets: false,
    };
    // What a process takes once, it takes now.
    let warm = Shape {
        length: Duration::from_secs(2),
        ..shape
    };
    lab.on(Runtime::Mt2, flood(warm, none))?;
    let before = resident()?;
    let flood = lab.on(Runtime::Mt2, flood(shape, none))?;
    lab.metric("rss_delta_bytes", "bytes", resident()? - before);
    lab.law("rss_delta_bytes", Op::AtMost, GROWTH);
    lab.count_trials(flood.sent);
    judge::judge(lab, &flood);
    let theory = 1.0 - 1.0 / LOAD;
    let lost = (flood.last.dropped + flood.last.discarded) as f64 / flood.sent.max(1) as f64;
    lab.check(
        (lost - theory).abs() <= 0.02,
        "as many are lost as the theory says",
        Breach::UnaccountedDrop,
        || format!("{lost:.4}, the theory says {theory:.4}"),
    );
    Ok(())
}
