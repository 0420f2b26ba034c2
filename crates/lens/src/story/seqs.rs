//! Which numbers of a run have come.

use std::ops::RangeInclusive;

/// A set of numbers, kept as the stretches without gaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seqs {
    /// From and to, in order, with gaps in between.
    stretches: Vec<(u64, u64)>,
    /// What was missing between stretches that were put together for want of room.
    forgotten: u64,
}

/// Enough for any journal that is not in shreds.
const MOST: usize = 4096;

impl Seqs {
    /// Adds one. `false` if it was there.
    pub(crate) fn add(&mut self, seq: u64) -> bool {
        if let Some(last) = self.stretches.last_mut() {
            if seq == last.1 + 1 {
                last.1 = seq;
                return true;
            }
            if seq <= last.1 {
                return self.add_within(seq);
            }
        }
        self.stretches.push((seq, seq));
        self.shorten();
        true
    }

    fn add_within(&mut self, seq: u64) -> bool {
        // The first that does not lie wholly before it.
        let at = self.stretches.partition_point(|stretch| stretch.1 < seq);
        if self
            .stretches
            .get(at)
            .is_some_and(|stretch| stretch.0 <= seq)
        {
            return false;
        }
        let after_left = at > 0 && self.stretches[at - 1].1 + 1 == seq;
        let before_right = self
            .stretches
            .get(at)
            .is_some_and(|stretch| seq + 1 == stretch.0);
        match (after_left, before_right) {
            (true, true) => {
                let (_, to) = self.stretches.remove(at);
                self.stretches[at - 1].1 = to;
            }
            (true, false) => self.stretches[at - 1].1 = seq,
            (false, true) => self.stretches[at].0 = seq,
            (false, false) => {
                self.stretches.insert(at, (seq, seq));
                self.shorten();
            }
        }
        true
    }

    fn shorten(&mut self) {
        if self.stretches.len() > MOST {
            let (from, _) = self.stretches[0];
            let gap = self.stretches[1].0 - self.stretches[0].1 - 1;
            self.forgotten += gap;
            self.stretches[1].0 = from;
            self.stretches.remove(0);
        }
    }

    /// The numbers that are missing below the highest one.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let befores = std::iter::once(0).chain(self.stretches.iter().map(|stretch| stretch.1 + 1));
        let pairs = befores.zip(&self.stretches);
        let holes = pairs.filter(|(from, stretch)| *from < stretch.0);
        holes.map(|(from, stretch)| from..=stretch.0 - 1)
    }

    /// How many are missing below the highest one.
    pub(crate) fn missing(&self) -> u64 {
        let gaps: u64 = self.gaps().map(|gap| gap.end() - gap.start() + 1).sum();
        gaps + self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::Seqs;

    #[test]
    fn any_order_gives_the_same_gaps() {
        let orders = [
            [0, 1, 2, 5, 7, 6],
            [7, 5, 6, 0, 2, 1],
            [2, 7, 0, 5, 1, 6],
            [6, 5, 7, 1, 2, 0],
        ];
        for order in orders {
            let mut seqs = Seqs::default();
            assert!(order.iter().all(|seq| seqs.add(*seq)), "{order:?}");
            assert!(order.iter().all(|seq| !seqs.add(*seq)), "{order:?}");
            assert_eq!(seqs.gaps().collect::<Vec<_>>(), [3..=4], "{order:?}");
            assert_eq!(seqs.missing(), 2);
        }
    }

    #[test]
    fn what_is_missing_is_counted_even_if_it_is_forgotten_where() {
        let mut seqs = Seqs::default();
        for seq in 0..20_000 {
            seqs.add(2 * seq + 1);
        }
        assert_eq!(seqs.missing(), 20_000);
        assert!(seqs.gaps().count() <= super::MOST + 1);
    }
}
