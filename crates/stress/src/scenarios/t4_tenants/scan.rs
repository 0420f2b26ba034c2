//! Looks for canaries, byte by byte, in everything that comes out.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use serde_json::Value;
use stageflow::events::EventRecord;
use stageflow::prelude::*;
use stageflow_testkit::Recorded;

use super::shop::{Parcel, STAGES, Tenant};
use crate::{Breach, Lab};

/// Whose each run is.
pub(super) type Owners = HashMap<String, Tenant>;

/// How much was looked at, by channel, and in how much of it the owner's own canary was found.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) scanned: u64,
    pub(super) own: BTreeMap<&'static str, u64>,
    pub(super) leaks: u64,
    pub(super) without_org: u64,
    pub(super) bytes: u64,
}

pub(super) struct Scanner<'a> {
    pub(super) lab: &'a Lab,
    pub(super) owners: &'a Owners,
    pub(super) tally: &'a mut Tally,
}

impl Scanner<'_> {
    /// Says whether a text holds no canary but its owner's.
    pub(super) fn text(&mut self, channel: &'static str, owner: &Tenant, text: &str) {
        const LENGTH: usize = "canary".len() + 32;
        self.tally.scanned += 1;
        self.tally.bytes += text.len() as u64;
        for (at, _) in text.match_indices("canary") {
            let found = text.get(at..at + LENGTH).unwrap_or_else(|| &text[at..]);
            if found == owner.canary {
                *self.tally.own.entry(channel).or_default() += 1;
                continue;
            }
            // The key it is kept under is no canary.
            if found.starts_with("canary\"") {
                continue;
            }
            self.tally.leaks += 1;
            self.lab.check(
                false,
                "a tenant's canary is seen by that tenant only",
                Breach::CrossTenant,
                || format!("{channel} of {owner:?} holds {found}: {text}"),
            );
        }
    }

    /// Events, as JSON and as they print themselves.
    pub(super) fn events(&mut self, recorded: &[Recorded]) {
        for one in recorded {
            let record = EventRecord::new(&one.run, &one.event);
            let Some(owner) = self.owner(&record.run_id) else {
                continue;
            };
            let org = owner.org.to_string();
            if record.org_id.is_none() {
                self.tally.without_org += 1;
            }
            self.lab.check(
                record.org_id.as_ref() == Some(&org),
                "every record carries its run's org",
                Breach::CrossTenant,
                || format!("{record:?} should be of {org}"),
            );
            let text = serde_json::to_string(&record).unwrap_or_default();
            let back: Option<Value> = serde_json::from_str(&text).ok();
            self.lab.check(
                back.is_some_and(|back| back["org_id"] == org),
                "every record carries its run's org",
                Breach::CrossTenant,
                || format!("{text} should be of {org}"),
            );
            self.text("event json", &owner, &text);
            self.text(
                "event debug",
                &owner,
                &format!("{:?} {:?}", one.event, one.run),
            );
        }
    }

    /// Lines of a log; each names its run.
    pub(super) fn lines(&mut self, lines: &[String]) {
        for line in lines {
            let run = line
                .find("run_id=")
                .and_then(|at| line.get(at + 7..at + 43));
            if let Some(owner) = run.and_then(|run| self.owner(run)) {
                self.text("tracing", &owner, line);
            } else {
                self.lab.check(
                    false,
                    "every log line names its run",
                    Breach::CrossTenant,
                    || line.clone(),
                );
            }
        }
    }

    /// Everything a report gives.
    pub(super) fn report(&mut self, owner: &Tenant, report: &RunReport<Parcel>) {
        let org = report.identity().org_id();
        self.lab.check(
            org == Some(owner.org),
            "a report is its tenant's",
            Breach::CrossTenant,
            || format!("{report:?} should be of {owner:?}"),
        );
        self.text(
            "report",
            owner,
            &format!("{report:?} {:?}", report.identity()),
        );
        self.text("drawing", owner, &report.mermaid());
        self.text("drawing", owner, &report.dot());
        for error in report.errors() {
            self.error(owner, error);
        }
        if let Err(error) = report.output() {
            self.error(owner, &error);
        }
        let reason = report.cancel_reason();
        let said = reason.map(|reason| format!("{reason} {reason:?}"));
        self.text("cancel reason", owner, &said.unwrap_or_default());
        self.text("cleanups", owner, &format!("{:?}", report.cleanups()));
        self.text("recorded", owner, &format!("{:?}", report.recorded()));
        for stage in report.stages() {
            self.text(
                "skip reason",
                owner,
                stage.skip_reason().unwrap_or_default(),
            );
            self.text("stage", owner, &format!("{stage:?}"));
        }
        for name in STAGES {
            let value = report
                .value_of(name)
                .and_then(|value| value.downcast::<Parcel>());
            if let Some(parcel) = value {
                self.text("output", owner, &parcel.canary);
            }
        }
    }

    fn error(&mut self, owner: &Tenant, error: &dyn Error) {
        let mut text = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text} {error} {error:?}");
            cause = error.source();
        }
        self.text("error", owner, &text);
    }

    fn owner(&self, run: &str) -> Option<Tenant> {
        let owner = self.owners.get(run).cloned();
        self.lab.check(
            owner.is_some(),
            "records are of runs that were started",
            Breach::CrossTenant,
            || run.to_owned(),
        );
        owner
    }
}
