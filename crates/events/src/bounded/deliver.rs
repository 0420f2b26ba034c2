//! One delivery: tries, rests, gives up.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use backon::BackoffBuilder as _;
use futures_util::FutureExt as _;

use crate::bounded::core::{Core, Delivery};
use crate::bounded::flow::Settled;
use crate::bounded::pump::Manner;
use crate::bounded::{BreakerState, Consignment, Flushed, Health, LossReason, RetryPolicy};
use crate::quietly::let_go;
use crate::{Courier, ExportError, ExportErrorKind, Exporter, SpillError};

/// Who takes what is delivered.
pub(super) enum Way {
    /// All of a batch, or none of it.
    Whole(Box<dyn Exporter>),
    /// Each of its entries for itself.
    Each(Box<dyn Courier>),
}

/// Who takes it, and what is known about how that goes.
pub(super) struct Outlet {
    core: Arc<Core>,
    way: Way,
    manner: Manner,
    health: Health,
}

/// How one call went wrong.
enum Fault {
    Error(ExportError),
    Panicked(String),
    TimedOut,
    /// Some of it comes later, for these reasons; the rest was taken.
    Later(String),
    /// Some of it is lost, for these reasons; the rest was taken.
    Lost(String),
}

impl Outlet {
    pub(super) fn new(core: Arc<Core>, way: Way, manner: Manner) -> Self {
        Self {
            core,
            way,
            manner,
            health: Health::default(),
        }
    }

    /// Delivers these, or gives them up, and counts them.
    pub(super) async fn deliver(&mut self, delivery: Delivery) {
        let settled = self.settle(&delivery).await;
        self.core.settle(settled, delivery);
    }

    async fn settle(&mut self, delivery: &Delivery) -> Settled {
        if delivery.entries.is_empty() {
            return Settled::Delivered;
        }
        let mut delays = delays(self.manner.retry).peekable();
        loop {
            self.rest().await;
            let is_last = delays.peek().is_none() && !self.manner.endures;
            let fault = match self.hand_over(delivery, is_last).await {
                Ok(()) => {
                    self.went_well();
                    return Settled::Delivered;
                }
                Err(fault) => fault,
            };
            match fault.refused() {
                Some(count) => {
                    self.goes_on(&fault);
                    return Settled::Refused(count);
                }
                None if matches!(fault, Fault::Later(_)) => self.goes_on(&fault),
                None => self.went_wrong(&fault),
            }
            let delay = || delays.next().or_else(|| self.endurance());
            let Some(delay) = fault.may_pass().then(delay).flatten() else {
                return Settled::Failed(fault.reason());
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// One call.
    async fn hand_over(&mut self, delivery: &Delivery, is_last: bool) -> Result<(), Fault> {
        let limit = self.manner.export_timeout;
        let courier = match &mut self.way {
            Way::Whole(exporter) => {
                return guarded(limit, exporter.export(&delivery.entries)).await;
            }
            Way::Each(courier) => courier,
        };
        let mut goods = Consignment::new(&self.core, &delivery.entries, (limit, is_last));
        let carried = guarded(limit, courier.carry(&mut goods)).await;
        let (refused, words) = match carried {
            Ok(()) => (0, goods.into_why()),
            Err(fault) => match fault.refused() {
                Some(count) => (count, fault.words().to_string()),
                None => return Err(fault),
            },
        };
        let outcome = self.core.end_call(refused);
        match (outcome.later, outcome.refused) {
            (0, 0) => Ok(()),
            (0, _) => Err(Fault::Lost(words)),
            _ => Err(Fault::Later(words)),
        }
    }

    /// Has the exporter flush.
    pub(super) async fn flush(&mut self) -> Flushed {
        let limit = self.manner.export_timeout;
        let flushed = match &mut self.way {
            Way::Whole(exporter) => guarded(limit, exporter.flush()).await,
            Way::Each(courier) => guarded(limit, courier.flush()).await,
        };
        if let Err(fault) = &flushed {
            self.health.last_error = Some(fault.words());
            self.core.set_health(self.health.clone());
        }
        Flushed::of(flushed.map_err(drop))
    }

    /// The delay of all tries beyond those of the policy, if there are any.
    fn endurance(&self) -> Option<Duration> {
        let longest = self.manner.retry.longest.max(Duration::from_millis(100));
        self.manner.endures.then_some(longest)
    }

    /// Waits until it is worth another look at what is on disk.
    pub(super) async fn wait_out(&mut self, trouble: &SpillError) {
        self.health.last_error = Some(trouble.to_string().into());
        self.core.set_health(self.health.clone());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// If the breaker is open, waits until it is time to try once.
    async fn rest(&mut self) {
        if self.health.breaker == BreakerState::Open {
            tokio::time::sleep(self.manner.breaker.rest).await;
            self.health.breaker = BreakerState::Probing;
            self.core.set_health(self.health.clone());
        }
    }

    fn went_well(&mut self) {
        if self.health.failures_in_a_row > 0 {
            self.health.failures_in_a_row = 0;
            self.health.breaker = BreakerState::Closed;
            self.core.set_health(self.health.clone());
        }
    }

    /// One that takes some of it is alive.
    fn goes_on(&mut self, fault: &Fault) {
        self.went_well();
        self.health.last_error = Some(fault.words());
        self.core.set_health(self.health.clone());
    }

    fn went_wrong(&mut self, fault: &Fault) {
        let failures = self.health.failures_in_a_row.saturating_add(1);
        let is_too_many = failures >= self.manner.breaker.failures.get();
        self.health = Health {
            breaker: if is_too_many {
                BreakerState::Open
            } else {
                BreakerState::Closed
            },
            failures_in_a_row: failures,
            last_error: Some(fault.words()),
        };
        self.core.set_health(self.health.clone());
    }
}

impl Fault {
    /// If all that is left of it was settled by this: how many of those of which nothing was said were refused.
    fn refused(&self) -> Option<u64> {
        match self {
            Self::Error(error) => match error.kind() {
                ExportErrorKind::Refused(count) => Some(count),
                _ => None,
            },
            Self::Lost(_) => Some(0),
            Self::Panicked(_) | Self::TimedOut | Self::Later(_) => None,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Error(error) => error.kind() == ExportErrorKind::Transient,
            Self::Panicked(_) | Self::Lost(_) => false,
            Self::TimedOut | Self::Later(_) => true,
        }
    }

    fn reason(&self) -> LossReason {
        match self {
            Self::Error(error) if error.kind() == ExportErrorKind::Transient => LossReason::Retries,
            Self::Error(_) => LossReason::Permanent,
            Self::Panicked(_) => LossReason::Panicked,
            Self::TimedOut => LossReason::TimedOut,
            Self::Later(_) => LossReason::Retries,
            Self::Lost(_) => LossReason::Refused,
        }
    }

    fn words(&self) -> Arc<str> {
        match self {
            Self::Error(error) => error.to_string().into(),
            Self::Panicked(words) => format!("the exporter panicked: {words}").into(),
            Self::TimedOut => "the exporter took too long".into(),
            Self::Later(words) | Self::Lost(words) => words.as_str().into(),
        }
    }
}

/// Runs a call of the exporter, which may fail in any way it likes.
async fn guarded(
    limit: Duration,
    call: impl Future<Output = Result<(), ExportError>>,
) -> Result<(), Fault> {
    let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
    // Most calls are over at once, and need no timer.
    let result = match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => tokio::time::timeout(limit, call).await,
    };
    match result {
        Ok(Ok(result)) => result.map_err(Fault::Error),
        Ok(Err(payload)) => Err(Fault::Panicked(words_of(payload))),
        Err(_) => Err(Fault::TimedOut),
    }
}

fn words_of(payload: Box<dyn std::any::Any + Send>) -> String {
    let words = match payload.downcast_ref::<String>() {
        Some(words) => words.clone(),
        None => match payload.downcast_ref::<&str>() {
            Some(words) => (*words).to_owned(),
            None => "something that is not text".to_owned(),
        },
    };
    let_go(payload);
    words
}

/// The delays between tries: as many as there are tries after the first.
fn delays(policy: RetryPolicy) -> impl Iterator<Item = Duration> {
    let again = policy.tries.get() - 1;
    backon::ExponentialBuilder::default()
        .with_min_delay(policy.first)
        .with_max_delay(policy.longest)
        .with_factor(2.0)
        .with_max_times(again as usize)
        .build()
}
