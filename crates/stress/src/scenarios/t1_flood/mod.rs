//! Far more events than a sink takes: many who send, a million a second, for an hour, large payloads, and many sinks of
//! which one is dead.

mod arms;
mod bytes;
mod flow;
mod judge;
mod soak;

use std::num::NonZeroUsize;
use std::time::Duration;

use stageflow::events::BoundedCounts;

use crate::{Control, Lab, LabError, Runtime, Scenario, Theme, Tier};
use flow::{Flaw, Pace, Shape, flood};
pub(super) use soak::soak;

const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// How long a stop may take, and how long an audit event waits for room.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::new("T1-FLOOD", "a hundred thousand events a second")
        .proves("shedding keeps the audit events, bytes are bounded too, and one dead sink of sixty-four harms no other")
        .tier(Tier::Weekly)
        .expected(Duration::from_secs(4))
        .control(Control::own("ignores-bytes", "a sink that counts events and not bytes"))
        .control(Control::own("dead-stops-all", "a fan-out that ends at the first sink that fails"));
    flawed(scenario).run(|lab| {
        pour(
            lab,
            Runtime::Mt2,
            Shape::hundred_thousand(Duration::from_secs(2)),
        )?;
        bytes::bytes(lab);
        arms::fan_out(lab);
        Ok(())
    })
}

pub(super) fn million() -> Scenario {
    let scenario = Scenario::new("T1-MILLION", "a million events in a second")
        .proves("at a million events a second the books are exact at any moment, and no audit event is lost")
        .tier(Tier::Daily)
        .expected(Duration::from_secs(2));
    let second = Duration::from_secs(1);
    flawed(scenario).run(move |lab| pour(lab, Runtime::Mt4N, Shape::million(second)))
}

pub(super) fn drill() -> Scenario {
    let scenario = Scenario::new("T1-DRILL", "a million events a second, for ten seconds")
        .proves("at a million events a second the books stay exact for as long as it lasts")
        .tier(Tier::Weekly)
        .expected(Duration::from_secs(15));
    let length = Duration::from_secs(10);
    flawed(scenario).run(move |lab| pour(lab, Runtime::Mt4N, Shape::million(length)))
}

/// What they have in common.
fn flawed(scenario: Scenario) -> Scenario {
    scenario
        .theme(Theme::Thu)
        .targets(["OBS-005"])
        .modes(["E1", "E7"])
        .control(Control::own(
            "drops-uncounted",
            "a sink that loses one event in 1000 and counts none of them",
        ))
        .control(Control::own(
            "loses-in-flight",
            "a sink that loses one delivery in 50",
        ))
        .control(Control::own(
            "forgets-lanes",
            "a sink to which audit events are like all others",
        ))
}

impl Shape {
    /// From sixty-four who wait while an audit event of theirs waits for room.
    fn hundred_thousand(length: Duration) -> Self {
        Self {
            producers: 64,
            rate: 1_563,
            length,
            audit: 20,
            pace: Pace::Delivery(Duration::from_millis(1)),
        }
    }

    /// From five: more than that have no turn on two cores.
    fn million(length: Duration) -> Self {
        Self {
            producers: 5,
            rate: 200_000,
            length,
            audit: 200,
            pace: Pace::Delivery(Duration::from_millis(1)),
        }
    }
}

/// A flood, and what must be true of it.
fn pour(lab: &mut Lab, runtime: Runtime, mut shape: Shape) -> Result<(), LabError> {
    if lab.is_control() {
        shape.length = Duration::from_millis(300);
    }
    let flaw = Flaw {
        drops: lab.is_broken("drops-uncounted"),
        loses: lab.is_broken("loses-in-flight"),
        forgets: lab.is_broken("forgets-lanes"),
    };
    let flood = lab.on(runtime, flood(shape, flaw))?;
    lab.count_trials(flood.sent);
    judge::judge(lab, &flood);
    Ok(())
}

fn balance(counts: &BoundedCounts) -> bool {
    counts.offered == counts.accepted + counts.dropped
        && counts.accepted == counts.delivered + counts.failed + counts.discarded + counts.queued
        && counts.queued <= CAPACITY.get() as u64
}
