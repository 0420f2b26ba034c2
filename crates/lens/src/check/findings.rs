//! Everything that was found.

use std::collections::BTreeMap;

use super::{Finding, FindingKind, Severity};

/// More of one kind are counted, and not kept.
const MOST: u64 = 1000;

/// Everything that was found, in a fixed order: by run, by number, by kind. Of each kind the first thousand are kept; all are
/// counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<FindingKind, u64>,
    records: u64,
    runs: u64,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        let count = self.counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= MOST {
            self.kept.push(finding);
        }
    }

    /// Gaps that a sink has accounted for without saying whose they are: so many events.
    pub(super) fn account_for(&mut self, mut events: u64) {
        let gaps = self
            .kept
            .iter_mut()
            .filter(|finding| finding.kind == FindingKind::Gap);
        for gap in gaps {
            let missing = gap.last_seq - gap.first_seq + 1;
            if missing > events {
                return;
            }
            events -= missing;
            gap.kind = FindingKind::Lost;
            gap.severity = FindingKind::Lost.severity();
            gap.look = FindingKind::Lost.look();
            if let Some(count) = self.counts.get_mut(&FindingKind::Gap) {
                *count -= 1;
            }
            *self.counts.entry(FindingKind::Lost).or_default() += 1;
        }
    }

    /// The last word: how much was read.
    pub(super) fn conclude(mut self, records: u64, runs: u64) -> Self {
        self.counts.retain(|_, count| *count > 0);
        let key = |finding: &Finding| {
            let Finding { run_id, stage, .. } = finding.clone();
            (
                run_id,
                finding.first_seq,
                finding.kind,
                finding.last_seq,
                stage,
            )
        };
        self.kept.sort_by_cached_key(key);
        Self {
            records,
            runs,
            ..self
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How much was found, with what was not kept.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How much of this kind was found, with what was not kept.
    #[must_use]
    pub fn count(&self, kind: FindingKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// What was kept.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.kept.iter()
    }

    /// The kinds that were found, and how often.
    pub fn counts(&self) -> impl Iterator<Item = (FindingKind, u64)> + '_ {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }

    /// The worst that was found, if something was.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.kept.iter().map(|finding| finding.severity).max()
    }

    /// How many records were read.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many runs they were of.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }
}
