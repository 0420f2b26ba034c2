//! Holds the sink against its model.

use stageflow::events::Receipt;

use super::model::{Fate, Sums};
use super::play::Play;
use crate::Breach;

impl Play<'_> {
    pub(super) fn check_fates(&self, fates: &[Fate], receipt: Option<Receipt>) {
        let count = |fate: Fate| fates.iter().filter(|it| **it == fate).count() as u64;
        let expected =
            (count(Fate::Waits) == 0).then(|| (count(Fate::Accepted), count(Fate::Dropped)));
        let given = receipt.map(|receipt| (receipt.accepted, receipt.dropped));
        self.lab.check(
            given == expected,
            "each offer is told what became of it",
            Breach::UnaccountedDrop,
            || {
                format!(
                    "{given:?}, should be {expected:?} ({} {:?})",
                    self.case.name, self.case.policy
                )
            },
        );
    }

    pub(super) fn compare(&mut self) {
        let (case, model) = (self.case, &self.model);
        let expected: Vec<_> = model
            .at_work
            .iter()
            .map(|item| (item.who, item.seq))
            .collect();
        let at_work = self.hand.at_work().unwrap_or_default();
        self.lab.check(
            at_work == expected,
            "what was accepted is delivered, in order, once",
            Breach::Lost,
            || {
                format!(
                    "{at_work:?} is being delivered, should be {expected:?} ({} {:?})",
                    case.name, case.policy
                )
            },
        );
        let (counts, in_memory) = self.counts();
        self.lab.check(
            counts == model.sums,
            "the counts are exact at any moment",
            Breach::UnaccountedDrop,
            || {
                format!(
                    "{counts:?}, should be {:?} ({} {:?})",
                    model.sums, case.name, case.policy
                )
            },
        );
        self.lab.check(
            in_memory <= case.capacity as u64,
            "never more than fits",
            Breach::ResourceLeak,
            || {
                format!(
                    "{in_memory} held, of at most {} ({} {:?})",
                    case.capacity, case.name, case.policy
                )
            },
        );
        let (waiting, expected) = (self.emits.len(), model.waits());
        self.lab.check(
            waiting == expected,
            "those who wait get room in turn, or the time is up",
            Breach::Hang,
            || {
                format!(
                    "{waiting} wait, should be {expected} ({} {:?})",
                    case.name, case.policy
                )
            },
        );
        self.outcome.deepest = self.outcome.deepest.max(in_memory);
        self.outcome.depths.push(in_memory as f64);
    }

    pub(super) fn counts(&self) -> (Sums, u64) {
        let counts = self.sink.counts();
        let sums = Sums {
            offered: counts.offered + self.hidden,
            accepted: counts.accepted + self.hidden,
            dropped: counts.dropped,
            delivered: counts.delivered + self.hidden,
            failed: counts.failed,
            discarded: counts.discarded,
            queued: counts.queued,
        };
        (sums, counts.queued - counts.on_disk)
    }
}
