//! What tenants have used.

use std::collections::BTreeMap;

use stageflow_context::Amounts;

use crate::QuotaDimension;

/// What a tenant has used since it is known, and uses now.
///
/// Every run that asked is in exactly one place: it was refused, it has gone while it waited, it waits, it runs, or it has finished
/// ([`TenantUsage::asked`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantUsage {
    /// Its runs; not those that stages have started.
    pub runs: RunUsage,
    /// Runs that were refused, by the word that events have for why: a [`QuotaDimension`], `suspended` or `foreign_budget`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Its stages, where the engine has the layer [`Tenants::stages`](crate::Tenants::stages).
    pub stages: StageUsage,
    /// Its events, at sinks that are made with [`Tenants::meter`](crate::Tenants::meter).
    pub events: EventUsage,
    /// What was spent of its budget: by all runs that did not come with a budget of another tree.
    pub spent: Amounts,
}

/// Runs of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunUsage {
    /// Let in so far: `finished + running`.
    pub started: u64,
    /// Over, however they ended.
    pub finished: u64,
    /// Gone while they waited: cancelled, dropped, or at their deadline.
    pub abandoned: u64,
    /// Inside now.
    pub running: usize,
    /// Waiting now.
    pub waiting: usize,
    /// The most that were inside at a time.
    pub peak_running: usize,
    /// The most that waited at a time.
    pub peak_waiting: usize,
}

/// Places of a tenant for stages and their parts. Those that have the place of a stage which waits for them are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageUsage {
    /// Let in so far: `finished + running`.
    pub started: u64,
    /// Over, however they ended.
    pub finished: u64,
    /// Inside now.
    pub running: usize,
    /// Waiting now.
    pub waiting: usize,
    /// The most that were inside at a time.
    pub peak_running: usize,
    /// Rejected, because too many waited.
    pub rejected: u64,
}

/// Events of a tenant: `offered = accepted + dropped()`, at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventUsage {
    /// Came to the sink.
    pub offered: u64,
    /// Taken by what is behind it.
    pub accepted: u64,
    /// Not handed on, as the tenant had too many in this second.
    pub dropped_events: u64,
    /// Not handed on, as the tenant had too many bytes in this second.
    pub dropped_bytes: u64,
    /// Handed on, and not taken.
    pub dropped_by_sink: u64,
    /// Handed on although there were too many: events of the audit lane are never dropped for a quota.
    pub over: u64,
    /// Bytes of all that were offered, as lines of JSON.
    pub bytes: u64,
}

/// Those that no tenant is known for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Strangers {
    /// Runs that were refused because they were for no org.
    pub nobody: u64,
    /// Runs that were refused because nobody knows their org.
    pub unknown: u64,
    /// Runs of orgs that nobody knows, refused because no more can be remembered.
    pub no_room: u64,
    /// Events of such runs, and of those that no admission has asked.
    pub events: EventUsage,
}

impl TenantUsage {
    /// How many runs have asked to be let in.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.runs.started + self.runs.abandoned + self.runs.waiting as u64 + self.refused_in_all()
    }

    /// How many runs were refused for this.
    #[must_use]
    pub fn refused(&self, dimension: QuotaDimension) -> u64 {
        self.refused.get(dimension.as_str()).copied().unwrap_or(0)
    }

    /// How many runs were refused.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Takes over what another tenant has used that is known no more.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.runs.started += other.runs.started;
        self.runs.finished += other.runs.finished;
        self.runs.abandoned += other.runs.abandoned;
        self.runs.peak_running = self.runs.peak_running.max(other.runs.peak_running);
        self.runs.peak_waiting = self.runs.peak_waiting.max(other.runs.peak_waiting);
        for (why, count) in &other.refused {
            *self.refused.entry(why).or_default() += count;
        }
        self.stages.started += other.stages.started;
        self.stages.finished += other.stages.finished;
        self.stages.rejected += other.stages.rejected;
        self.stages.peak_running = self.stages.peak_running.max(other.stages.peak_running);
        self.events.absorb(&other.events);
        self.spent = self.spent + other.spent;
    }
}

impl EventUsage {
    /// How many were not taken, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped_events + self.dropped_bytes + self.dropped_by_sink
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.offered += other.offered;
        self.accepted += other.accepted;
        self.dropped_events += other.dropped_events;
        self.dropped_bytes += other.dropped_bytes;
        self.dropped_by_sink += other.dropped_by_sink;
        self.over += other.over;
        self.bytes += other.bytes;
    }
}
