//! What sinks said they dropped: `telemetry.dropped`.

use std::ops::RangeInclusive;

use stageflow_events::EventRecord;

use crate::field::number;

/// More of one run are put together.
const MOST: usize = 256;

/// The events of one run that a sink said it dropped.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Loss>);

#[derive(Clone, Copy, Debug)]
struct Loss {
    first: u64,
    last: u64,
    count: u64,
}

impl Losses {
    pub(super) fn add(&mut self, record: &EventRecord) {
        let first = number(record, "first_seq").unwrap_or(record.seq);
        let loss = Loss {
            first,
            last: number(record, "last_seq").unwrap_or(first).max(first),
            count: count(record),
        };
        let is_full = self.0.len() >= MOST;
        match self.0.last_mut() {
            Some(last) if is_full => {
                last.first = last.first.min(loss.first);
                last.last = last.last.max(loss.last);
                last.count += loss.count;
            }
            _ => self.0.push(loss),
        }
    }

    /// Takes these numbers off what was accounted for; `false` if they were not accounted for.
    pub(super) fn explain(&mut self, gap: &RangeInclusive<u64>) -> bool {
        let missing = gap.end() - gap.start() + 1;
        let covers = |loss: &Loss| loss.first <= *gap.start() && *gap.end() <= loss.last;
        let covering = |loss: &&mut Loss| covers(loss) && loss.count >= missing;
        match self.0.iter_mut().find(covering) {
            Some(loss) => {
                loss.count -= missing;
                true
            }
            None => self.explain_in_pieces(gap),
        }
    }

    /// A gap that several sinks, or one sink several times, made together.
    fn explain_in_pieces(&mut self, gap: &RangeInclusive<u64>) -> bool {
        let mut missing = gap.end() - gap.start() + 1;
        let touches = |loss: &Loss| loss.first <= *gap.end() && *gap.start() <= loss.last;
        let there: u64 = self
            .0
            .iter()
            .filter(|loss| touches(loss))
            .map(|loss| loss.count)
            .sum();
        if there < missing {
            return false;
        }
        for loss in self.0.iter_mut().filter(|loss| touches(loss)) {
            let taken = missing.min(loss.count);
            loss.count -= taken;
            missing -= taken;
        }
        true
    }

    /// Whether a sink dropped events after this one.
    pub(super) fn goes_beyond(&self, seq: u64) -> bool {
        self.0.iter().any(|loss| loss.last > seq)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many events a marker accounts for.
pub(super) fn count(record: &EventRecord) -> u64 {
    number(record, "count").unwrap_or(0)
}
