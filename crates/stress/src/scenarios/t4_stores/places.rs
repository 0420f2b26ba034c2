//! Where the tenants of a round live: in files, or in a database, if there is a server for it.

use std::path::Path;

use stageflow_testkit::postgres::Cluster;

use super::kept::Kept;
use super::server::{Server, missing};
use crate::{Lab, LabError, Runtime};

/// The controls that are about the database's wall.
pub(super) const NO_POLICIES: &str = "no-policies";
pub(super) const LENDS_BADGE: &str = "lends-badge";

/// Where all rounds are done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Houses {
    Files,
    FilesAndServer,
}

/// Where one round is done.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Files,
    Server(&'a Cluster),
}

impl Place<'_> {
    /// A store with nobody's rows.
    pub(super) async fn store(self, folder: &Path, tenants: usize) -> Result<Kept, LabError> {
        match self {
            Self::Files => Kept::files(folder, tenants),
            Self::Server(cluster) => Ok(Kept::Server(Server::new(cluster).await?)),
        }
    }
}

/// A server, if it is wanted and there can be one. What is left out without it is said, and why.
pub(super) fn cluster(lab: &Lab, houses: Houses) -> Result<Option<Cluster>, LabError> {
    let is_about = !lab.is_control() || lab.is_broken(NO_POLICIES) || lab.is_broken(LENDS_BADGE);
    if houses == Houses::Files || !is_about {
        return Ok(None);
    }
    if let Some(why) = missing() {
        lab.left_out(format!("the half with the tenants in a Postgres: {why}"));
        return Ok(None);
    }
    lab.on(Runtime::Ct, Cluster::start()).map(Some)
}

/// The places of all rounds. What most controls break is broken wherever the tenants live.
pub(super) fn places<'a>(lab: &Lab, cluster: Option<&'a Cluster>) -> Vec<Place<'a>> {
    let server = cluster.map(Place::Server);
    if !lab.is_control() {
        return std::iter::once(Place::Files).chain(server).collect();
    }
    match server {
        Some(server) => vec![server],
        None => vec![Place::Files],
    }
}
