//! A downstream that does nothing until it is told to: so the scenario says when each delivery ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::{future, sync::atomic::AtomicBool, sync::atomic::Ordering};

use async_trait::async_trait;
use stageflow::events::{Entry, ExportError, ExportErrorKind, Exporter};

use super::Fault;

/// The downstream, seen from both sides.
#[derive(Clone, Default)]
pub(super) struct Hand(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// What is being delivered: whose, and which number.
    at_work: Option<Vec<(usize, u64)>>,
    verdict: Option<bool>,
    waker: Option<Waker>,
    /// How many events the marks that came speak of.
    marked: u64,
    fault: Option<Fault>,
    deliveries: u64,
    stopping: bool,
}

impl Hand {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let hand = Self::default();
        hand.lock().fault = fault;
        hand
    }

    /// What is being delivered, if something is.
    pub(super) fn at_work(&self) -> Option<Vec<(usize, u64)>> {
        self.lock().at_work.clone()
    }

    /// Ends the delivery under way, well or not.
    pub(super) fn release(&self, well: bool) {
        let mut held = self.lock();
        held.verdict = Some(well);
        let waker = held.waker.take();
        drop(held);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn marked(&self) -> u64 {
        self.lock().marked
    }

    pub(super) fn stops(&self) {
        self.lock().stopping = true;
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, entries: &[Entry]) -> u64 {
        let (mut events, mut marked) = (Vec::new(), 0);
        for entry in entries {
            match entry {
                Entry::Event(run, event) => events.push((number(run.pipeline()), event.seq())),
                Entry::Record(record) if record.kind == "telemetry.dropped" => {
                    marked += record.data["count"].as_u64().unwrap_or(0);
                }
                Entry::Record(record) => events.push((number(&record.pipeline), record.seq)),
                _ => {}
            }
        }
        let mut held = self.lock();
        // Only where there are two can they be swapped.
        held.deliveries += u64::from(events.len() > 1);
        match held.fault {
            Some(Fault::Swaps) if events.len() > 1 && held.deliveries.is_multiple_of(10) => {
                events.swap(0, 1);
            }
            Some(Fault::LosesInFlight) if held.stopping => events.clear(),
            _ => {}
        }
        // Marks alone take no time.
        held.at_work = (!events.is_empty()).then_some(events);
        held.verdict = held.at_work.is_none().then_some(true);
        marked
    }
}

/// Producers are known by their number.
fn number(name: &str) -> usize {
    name.parse().unwrap_or(usize::MAX)
}

#[async_trait]
impl Exporter for Hand {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let marked = self.begin(entries);
        let well = future::poll_fn(|cx| {
            let mut held = self.lock();
            match held.verdict.take() {
                Some(well) => Poll::Ready(well),
                None => {
                    held.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        let mut held = self.lock();
        held.at_work = None;
        if well {
            held.marked += marked;
            return Ok(());
        }
        Err(ExportError::new(ExportErrorKind::Permanent, "no"))
    }
}

/// Knows whether somebody was woken.
#[derive(Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
