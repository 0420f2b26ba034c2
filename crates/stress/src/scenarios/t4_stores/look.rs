//! Looks for canaries, byte by byte, in everything that comes out and everything that is kept.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::path::Path;

use memchr::memmem;
use stageflow::context::OrgId;
use stageflow::events::EventRecord;
use stageflow::prelude::*;
use stageflow_store::{Class, Scan, Store as _};
use stageflow_testkit::Recorded;

use super::house::House;
use super::server::Server;
use super::visits::Guest;
use crate::{Breach, Lab, LabError};

const LENGTH: usize = "canary".len() + 32;

/// How much was looked at, by channel, and in how much of it the owner's own canary was found.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) own: BTreeMap<&'static str, u64>,
    pub(super) leaks: u64,
    pub(super) bytes: u64,
    pub(super) without_org: u64,
    /// Series of metrics that say which org.
    pub(super) series: u64,
}

pub(super) struct Looker<'a> {
    pub(super) lab: &'a Lab,
    pub(super) guests: &'a HashMap<OrgId, Guest>,
    pub(super) tally: &'a mut Tally,
}

impl Looker<'_> {
    /// Says whether these bytes hold no canary but their owner's; of nobody, no canary at all.
    pub(super) fn bytes(&mut self, channel: &'static str, owner: Option<OrgId>, bytes: &[u8]) {
        self.tally.bytes += bytes.len() as u64;
        let own = owner.and_then(|org| self.guests.get(&org));
        let own = own.map(|guest| guest.canary.as_bytes());
        for at in memmem::find_iter(bytes, b"canary") {
            let found = &bytes[at..bytes.len().min(at + LENGTH)];
            if Some(found) == own {
                *self.tally.own.entry(channel).or_default() += 1;
                continue;
            }
            self.tally.leaks += 1;
            let found = String::from_utf8_lossy(found);
            let what = || format!("{channel} of {owner:?} holds {found}");
            let law = "a tenant's canary is seen by that tenant only";
            self.lab.check(false, law, Breach::CrossTenant, what);
        }
    }

    /// Events, as JSON and as they print themselves. Refused runs of nobody have no org; all others have one.
    pub(super) fn events(&mut self, recorded: &[Recorded]) {
        for one in recorded {
            let record = EventRecord::new(&one.run, &one.event);
            let org = one.run.identity().org_id();
            self.tally.without_org += u64::from(org.is_none());
            let text = serde_json::to_string(&record).unwrap_or_default();
            self.bytes("events", org, text.as_bytes());
            let text = format!("{:?} {:?}", one.event, one.run);
            self.bytes("events", org, text.as_bytes());
        }
    }

    /// Lines and spans of a log; each names its org.
    pub(super) fn lines(&mut self, channel: &'static str, lines: &[String]) {
        for line in lines {
            let org = line
                .find("org_id=")
                .and_then(|at| line.get(at + 7..at + 43));
            let org = org.and_then(|org| org.parse().ok());
            self.bytes(channel, org, line.as_bytes());
        }
    }

    /// What a run gives back, and how it fails.
    pub(super) fn report(&mut self, org: OrgId, report: &RunReport<String>) {
        let text = format!("{report:?} {:?} {}", report.identity(), report.mermaid());
        self.bytes("report", Some(org), text.as_bytes());
        let errors = report.errors().iter().map(|error| error as &dyn Error);
        let last = report.output().err();
        let last = last.iter().map(|error| error as &dyn Error);
        for error in errors.chain(last) {
            let chain = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
            let text: String = chain.map(|error| format!("{error} {error:?} ")).collect();
            self.bytes("errors", Some(org), text.as_bytes());
        }
        for stage in ["recall", "lookup", "child", "tool"] {
            let value = report.value_of(stage);
            if let Some(said) = value.and_then(|value| value.downcast::<String>()) {
                self.bytes("outputs", Some(org), said.as_bytes());
            }
        }
    }

    /// What the store keeps: row by row through each tenant's own door.
    pub(super) async fn rows(&mut self, house: &House) -> Result<(), LabError> {
        for org in self.guests.keys() {
            let scope = house.tenants.enter(*org).map_err(LabError::new)?;
            let shelf = house.store.open(&scope).await.map_err(LabError::new)?;
            for class in Class::ALL {
                let rows = shelf.scan(Scan::of(class)).await.map_err(LabError::new)?;
                for row in rows {
                    let text = format!("{} {}", row.key, row.body);
                    self.bytes(house.store.channel(), Some(*org), text.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// What a database has, past the code of the store: the rows that say of a tenant that they are its own, and those that its
    /// badge opens.
    pub(super) async fn tables(&mut self, server: &Server) -> Result<(), LabError> {
        for row in server.everything().await? {
            self.bytes("tables", Some(row.org), row.text.as_bytes());
        }
        for org in self.guests.keys() {
            for row in server.in_sight_of(*org).await? {
                let law = "a statement that forgets the tenant reads its rows only";
                self.lab
                    .check(row.org == *org, law, Breach::CrossTenant, || {
                        format!("{org} sees rows of {}", row.org)
                    });
                self.bytes("in sight", Some(*org), row.text.as_bytes());
            }
        }
        Ok(())
    }

    /// What lies in the folder: a file belongs to the org in its name.
    pub(super) fn files(&mut self, folder: &Path) -> Result<(), LabError> {
        for file in fs::read_dir(folder).map_err(LabError::new)? {
            let path = file.map_err(LabError::new)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let org = name.get(..36).and_then(|org| org.parse().ok());
            let bytes = fs::read(&path).map_err(LabError::new)?;
            self.bytes("files", org, &bytes);
        }
        Ok(())
    }
}
