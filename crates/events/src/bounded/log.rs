//! What a sink loses is also said in the log: soon after it happens, and then not again for a while.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::bounded::LossReason;
use crate::bounded::core::Core;
use crate::quietly::quietly;

/// How long it says nothing after it said something. Losses come by the million: a line for each would be a loss of its own.
const REST: Duration = Duration::from_secs(10);

/// Losses that are not in the log yet, by reason, and who has to be woken for the next.
#[derive(Default)]
pub(super) struct Unsaid {
    counts: [u64; LossReason::COUNT],
    watch: Option<Waker>,
}

impl Unsaid {
    pub(super) fn add(&mut self, reason: LossReason, count: u64) {
        self.counts[reason as usize] += count;
    }

    pub(super) fn take_watch(&mut self) -> Option<Waker> {
        self.watch.take()
    }

    /// What there is, if anything; otherwise this task is woken instead of another one.
    fn take_or_watch(&mut self, waker: &Waker) -> Result<[u64; LossReason::COUNT], Option<Waker>> {
        if self.counts.iter().any(|count| *count > 0) {
            return Ok(std::mem::take(&mut self.counts));
        }
        match &self.watch {
            Some(watch) if watch.will_wake(waker) => Err(None),
            _ => Err(self.watch.replace(waker.clone())),
        }
    }
}

impl Core {
    fn poll_unsaid(&self, cx: &Context<'_>) -> Poll<[u64; LossReason::COUNT]> {
        self.with(|state, after| {
            // Nothing is summed apart while somebody waits: so the next loss is one that looks for whom to wake.
            state.ledger.fold(after);
            match state.ledger.unsaid.take_or_watch(cx.waker()) {
                Ok(counts) => Poll::Ready(counts),
                Err(old) => {
                    after.drop_waker(old);
                    Poll::Pending
                }
            }
        })
    }
}

/// Says in the log what is lost, for as long as it is polled.
pub(super) async fn say_losses(core: &Core) -> Infallible {
    loop {
        let counts = poll_fn(|cx| core.poll_unsaid(cx)).await;
        let lost: u64 = counts.iter().sum();
        let reasons = reasons(counts);
        let _ = quietly(|| {
            tracing::warn!(target: "stageflow", lost, %reasons, "a bounded sink lost events since it last said so");
        });
        tokio::time::sleep(REST).await;
    }
}

fn reasons(counts: [u64; LossReason::COUNT]) -> String {
    let mut text = String::new();
    let counted = LossReason::ALL.into_iter().zip(counts);
    for (reason, count) in counted.filter(|(_, count)| *count > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        // A string takes whatever is written to it.
        let _ = write!(text, "{comma}{reason} {count}");
    }
    text
}
