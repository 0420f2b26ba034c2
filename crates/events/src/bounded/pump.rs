//! The pump: takes what is queued to the exporter.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::bounded::core::{Core, Work};
use crate::bounded::deliver::{Outlet, Way};
use crate::bounded::log::say_losses;
use crate::bounded::{BreakerPolicy, Flushed, RetryPolicy};

/// How delivery goes.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) batch: usize,
    pub(super) linger: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) breaker: BreakerPolicy,
    pub(super) export_timeout: Duration,
    /// Whether a transient failure is tried again for as long as it takes: what comes meanwhile has room on disk.
    pub(super) endures: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            batch: 512,
            linger: Duration::ZERO,
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            export_timeout: Duration::from_secs(10),
            endures: false,
        }
    }
}

/// Delivers what a bounded sink takes, until the sink is stopped or its last handle is dropped. Then it ends.
///
/// Dropping it ends the sink: what is held is discarded and counted, and nothing is taken any more.
#[must_use = "nothing is delivered unless the pump is polled"]
pub struct Pump {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    end: EndOnDrop,
}

/// A pump that goes, however it goes, leaves nobody waiting for it.
struct EndOnDrop(Arc<Core>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Pump {
    pub(super) fn new(core: Arc<Core>, way: Way, manner: Manner) -> Self {
        let end = EndOnDrop(Arc::clone(&core));
        Self {
            work: Box::pin(run(core, way, manner)),
            end,
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump")
            .field("counts", &self.end.0.counts())
            .finish_non_exhaustive()
    }
}

/// Until all is done, or somebody ends the sink, or nobody holds it any more and its time is up.
async fn run(core: Arc<Core>, way: Way, manner: Manner) {
    let limit = manner.export_timeout;
    let mut work = Box::pin(deliver(Arc::clone(&core), way, manner));
    let mut orphan = Box::pin(async {
        poll_fn(|cx| core.poll_abandoned(cx)).await;
        tokio::time::sleep(limit).await;
    });
    let mut log = Box::pin(say_losses(&core));
    poll_fn(|cx| {
        if core.poll_stopped(cx).is_ready()
            || work.as_mut().poll(cx).is_ready()
            || orphan.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        // After the work: what that lost is in the line, too.
        log.as_mut().poll(cx).map(|never| match never {})
    })
    .await;
    core.end();
    // What was lost last, unless it said something only just now.
    poll_fn(|cx| Poll::Ready(log.as_mut().poll(cx).is_ready())).await;
}

async fn deliver(core: Arc<Core>, way: Way, manner: Manner) {
    let (batch, linger) = (manner.batch, manner.linger);
    let mut outlet = Outlet::new(Arc::clone(&core), way, manner);
    loop {
        if linger > Duration::ZERO {
            poll_fn(|cx| core.poll_gathered(1, cx)).await;
            let full = poll_fn(|cx| core.poll_gathered(batch, cx));
            // Full or not, it goes.
            let _ = tokio::time::timeout(linger, full).await;
        }
        match poll_fn(|cx| core.poll_work(batch, cx)).await {
            Work::Deliver(delivery) => outlet.deliver(delivery).await,
            Work::Trouble(error) => outlet.wait_out(&error).await,
            Work::Flush(up_to) => {
                let result = outlet.flush().await;
                core.flushed(up_to, result);
            }
            Work::Last => {
                let result = outlet.flush().await;
                core.flushed(u64::MAX, result);
                return;
            }
            Work::End => return,
        }
    }
}

impl Flushed {
    pub(super) fn of(is_fine: Result<(), ()>) -> Self {
        is_fine.map_or(Self::Failed, |()| Self::Done)
    }
}
