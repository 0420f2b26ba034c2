//! Attempts are refused and told of, and what is counted for a tenant is what it did.

use std::sync::atomic::Ordering;

use stageflow::events::EventKind;
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::Recorded;

use super::house::{AT_A_TIME, House};
use super::visits::{Reach, Visit, per_org};
use crate::{Breach, Lab};

/// Every attempt to reach for somebody else's was refused, and told of with both orgs.
pub(super) fn denials(
    lab: &Lab,
    house: &House,
    visits: &[Visit],
    reports: &[(RunReport<String>, f64)],
    recorded: &[Recorded],
) {
    let attempts = visits.iter().filter(|visit| visit.is_foreign()).count() as u64;
    let at_the_door = |(report, _): &&(RunReport<String>, f64)| {
        let error = report.output().err();
        error.is_some_and(|error| match error.kind() {
            RunErrorKind::NotAdmitted(refusal) => refusal.code() == "SF0610",
            _ => false,
        })
    };
    let denied =
        house.denied.load(Ordering::Relaxed) + reports.iter().filter(at_the_door).count() as u64;
    let told = |one: &&Recorded| match one.event.kind() {
        EventKind::Audit(notice) => {
            let payload = notice.payload();
            match &**notice.name() {
                "tenant.access_denied" => payload["org"].is_string(),
                "auth.failure" => payload["org"].is_string() && payload["asked_org"].is_string(),
                _ => false,
            }
        }
        _ => false,
    };
    let told = recorded.iter().filter(told).count() as u64;
    lab.metric("foreign_attempts", "attempts", attempts as f64);
    lab.metric("denials", "attempts", denied as f64);
    lab.metric("told", "events", told as f64);
    let law = "every attempt to reach for another's is refused and told of";
    lab.check(
        attempts == denied && attempts == told,
        law,
        Breach::CrossTenant,
        || format!("{attempts} attempts, {denied} denials, {told} events"),
    );
    // Of another's row there is no decision that could be told: each look finds nothing, and that is all.
    let foreign_rows = visits
        .iter()
        .filter(|visit| visit.reach == Reach::ForeignRow);
    let foreign_rows = foreign_rows.count() as u64;
    let looked = house.looked.load(Ordering::Relaxed);
    lab.metric("foreign_rows_asked_for", "reads", looked as f64);
    let law = "every look for another's row is made, and is no attempt that is refused";
    lab.check(looked == foreign_rows, law, Breach::WrongStatus, || {
        format!("{looked} looks, {foreign_rows} were to be")
    });
    let found = house.found.load(Ordering::Relaxed);
    lab.metric("foreign_rows_found", "rows", found as f64);
    let law = "nobody finds what another one keeps, whatever its key";
    lab.check(found == 0, law, Breach::CrossTenant, || {
        format!("{found} rows of others were found")
    });
}

/// What the registry says of each tenant is what it did, and within its quota.
pub(super) fn usage(lab: &Lab, house: &House, visits: &[Visit]) {
    let let_in = |visit: &&Visit| visit.reach != Reach::ForeignOrg;
    for (org, ran) in per_org(visits.iter().filter(let_in)) {
        let used = house.tenants.usage(org).unwrap_or_default();
        let law = "what a tenant has used is what it did";
        lab.check(used.runs.finished == ran, law, Breach::CrossTenant, || {
            format!("{org}: {:?}, and {ran} runs", used.runs)
        });
        let peak = used.runs.peak_running;
        let law = "no tenant has more than its quota";
        lab.check(peak <= AT_A_TIME.get(), law, Breach::ResourceLeak, || {
            format!("{org}: {peak} runs at a time")
        });
    }
}
