//! What must be true of a flood, however high it is.

use super::balance;
use super::flow::Flood;
use crate::{Breach, Lab};

pub(super) fn judge(lab: &Lab, flood: &Flood) {
    let last = &flood.last;
    lab.check(
        flood.wrong.is_none() && balance(last),
        "the counts add up at every reading",
        Breach::UnaccountedDrop,
        || format!("{:?}, {last:?} at last", flood.wrong),
    );
    let told = flood.receipts;
    lab.check(
        last.offered == flood.sent
            && (told.accepted, told.dropped) == (last.accepted, last.dropped),
        "whoever sends is told what became of it",
        Breach::UnaccountedDrop,
        || format!("{} sent, {told:?}, {last:?}", flood.sent),
    );
    stream(lab, flood);
    numbers(lab, flood);
}

/// What came, and what says that something is missing.
fn stream(lab: &Lab, flood: &Flood) {
    let (last, arrived) = (&flood.last, flood.arrived);
    let gone = last.dropped + last.discarded;
    lab.check(
        arrived == last.delivered && flood.sent - arrived == gone && flood.losses == gone,
        "what is missing is what was dropped",
        Breach::Lost,
        || {
            format!(
                "{arrived} of {} came, {} lost, {last:?}",
                flood.sent, flood.losses
            )
        },
    );
    lab.check(
        flood.marked == gone,
        "marks in the stream say what is missing",
        Breach::UnaccountedDrop,
        || format!("{} marked, {gone} lost", flood.marked),
    );
    lab.check(
        flood.audits_arrived == flood.audits && flood.receipts.dropped_audit == 0,
        "no audit event is lost",
        Breach::Lost,
        || format!("{} of {} came", flood.audits_arrived, flood.audits),
    );
    lab.check(
        flood.in_order,
        "each producer's events come in order, once",
        Breach::Duplicated,
        String::new,
    );
    lab.check(gone > 0, "there is a flood", Breach::WrongStatus, || {
        format!("{last:?}")
    });
}

/// What rate was reached is for the machine to say: it is written down, and bounds nothing.
fn numbers(lab: &Lab, flood: &Flood) {
    let last = &flood.last;
    let lost = (last.dropped + last.discarded) as f64 / last.offered.max(1) as f64;
    let seconds = flood.took.as_secs_f64();
    for (name, unit, value) in [
        ("offered", "events", last.offered as f64),
        ("delivered", "events", last.delivered as f64),
        ("readings", "count", flood.readings as f64),
        ("rate_reached", "events/s", flood.sent as f64 / seconds),
        ("drop_rate_percent", "%", lost * 100.0),
        ("queue_depth_max", "events", flood.deepest as f64),
        (
            "audit_lost",
            "events",
            (flood.audits - flood.audits_arrived.min(flood.audits)) as f64,
        ),
    ] {
        lab.metric(name, unit, value);
    }
}
