//! One event alone: what is most common costs no more than the lock and what it counts.

use std::sync::Arc;

use crate::bounded::LossReason;
use crate::bounded::core::Core;
use crate::bounded::lanes::End;
use crate::bounded::state::{Patience, State};
use crate::{Entry, Event, Lane, Receipt, RunHeader};

/// An event that a sink did not take, given back. It is counted as dropped already.
#[derive(Clone, Debug)]
#[must_use = "what was not taken is lost unless it is offered again"]
#[non_exhaustive]
pub struct NotTaken {
    /// The event, as it was offered.
    pub event: Event,
    /// Why.
    pub reason: LossReason,
}

impl Core {
    #[inline]
    pub(super) fn offer_one(&self, run: &Arc<RunHeader>, event: Event) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.has_plain_room() {
            state.take_plainly(run, event);
            return Ok(());
        }
        if !self.is_listened_to() && state.drops_again(run, &event) {
            drop(state);
            let reason = LossReason::Full;
            return Err(NotTaken { event, reason });
        }
        drop(state);
        self.offer_slowly(run, event)
    }

    /// Whatever else there may be to do.
    fn offer_slowly(&self, run: &Arc<RunHeader>, mut event: Event) -> Result<(), NotTaken> {
        let taken = self.with(|state, after| {
            let wish = (Lane::of(event.kind()), Patience::Nobody);
            let receipt = &mut Receipt::default();
            let taken = state.take_event(run, &mut event, wish, receipt, after);
            if let Err(reason) = taken {
                state.refuse(run, &event, reason, after);
            }
            state.wake_pump(after);
            taken
        });
        taken.map_err(|reason| NotTaken { event, reason })
    }
}

impl State {
    /// Whether an event can be taken with nothing to do but that: nobody has to be woken or to make room for it.
    fn has_plain_room(&self) -> bool {
        self.held < self.limits.capacity
            && self.pump.is_none()
            && self.shelf.is_none()
            && self.is_plain()
    }

    fn take_plainly(&mut self, run: &Arc<RunHeader>, event: Event) {
        self.sums.offered += 1;
        let lane = Lane::of(event.kind());
        self.push(lane, 0, Entry::Event(Arc::clone(run), event));
    }

    /// Counts an event of which it is known that it is dropped, because it is of the kind that was dropped last, by the
    /// same run and for want of the same room. Only what stages say: what the engine says may take the place of others.
    fn drops_again(&mut self, run: &Arc<RunHeader>, event: &Event) -> bool {
        let is_full = self.held >= self.limits.capacity && self.limits.evicts == End::Newest;
        if !is_full || self.shelf.is_some() || !self.is_plain() || !self.ledger.again(run, event) {
            return false;
        }
        self.sums.offered += 1;
        self.sums.dropped += 1;
        true
    }
}

#[cfg(all(test, not(stageflow_loom)))]
mod tests {
    use std::task::{Context, Poll, Waker};
    use std::time::SystemTime;

    use stageflow_context::{ContextSnapshot, RunId, RunIdentity, SeededIds, StageIndex};

    use super::*;
    use crate::EventKind;
    use crate::bounded::core::Work;
    use crate::bounded::flow::Settled;
    use crate::bounded::state::Limits;

    const STAGE: StageIndex = StageIndex::new(0);

    fn loose(seq: u64) -> Event {
        let micros = 100;
        let kind = EventKind::BlockingDetected {
            stage: STAGE,
            micros,
        };
        Event::new(seq, seq, kind)
    }

    fn audit(seq: u64) -> Event {
        let kind = EventKind::StageStarted {
            stage: STAGE,
            attempt: 1,
        };
        Event::new(seq, seq, kind)
    }

    /// A delivery ends, and before the next begins two events come: the last loss tells nothing of what they find.
    #[test]
    fn an_event_takes_the_place_of_an_older_one_also_right_after_one_was_dropped() {
        let limits = Limits {
            capacity: 2,
            bytes: None,
            evicts: End::Oldest,
        };
        let core = Core::new(limits, None, None);
        let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
        let context = ContextSnapshot::new(identity);
        let header = RunHeader::by_hand(context, "p".into(), [].into(), SystemTime::UNIX_EPOCH);
        let run = Arc::new(header);
        for seq in 0..2 {
            assert!(core.offer_one(&run, audit(seq)).is_ok());
        }
        let cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Work::Deliver(delivery)) = core.poll_work(1, &cx) else {
            panic!("there is something to deliver")
        };
        assert!(
            core.offer_one(&run, loose(2)).is_err(),
            "what the engine says stays"
        );
        core.settle(Settled::Delivered, delivery);
        assert!(core.offer_one(&run, loose(3)).is_ok(), "there is room");
        assert!(core.offer_one(&run, loose(4)).is_ok(), "the oldest goes");
        let counts = core.counts();
        assert_eq!((counts.dropped, counts.discarded), (1, 1));
    }
}
