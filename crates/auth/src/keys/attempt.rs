//! One attempt to fetch keys, which all that need it share.

use std::any::Any;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use stageflow_interceptors::panic_message;
use tokio::time::{Instant, timeout};

use super::{KeyError, KeyErrorKind};

/// The last attempt. Nobody owns it: whoever needs the keys drives it on, and if all go away, the next one does.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Option<Attempt>>);

/// How often to ask, and how long to wait.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) floor: Duration,
    pub(super) timeout: Duration,
}

struct Attempt {
    /// When it began: from then on it counts, whatever becomes of those who wait for it.
    at: Instant,
    flight: Flight,
}

type Flight = Shared<BoxFuture<'static, Result<(), KeyError>>>;

impl Attempts {
    /// Waits for the attempt that goes on or was made last, or begins a new one if that is long enough ago.
    ///
    /// Dropped before it is ready, the attempt stays where it is.
    pub(super) async fn join(
        &self,
        pace: Pace,
        fetch: impl FnOnce() -> BoxFuture<'static, Result<(), KeyError>>,
    ) -> Result<(), KeyError> {
        let flight = self.flight(pace, fetch);
        // By the clock of whoever waits: one that was left alone for a while is not late for that.
        match timeout(pace.timeout, flight.clone()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(self.give_up(&flight, pace.timeout)),
        }
    }

    fn flight(
        &self,
        pace: Pace,
        fetch: impl FnOnce() -> BoxFuture<'static, Result<(), KeyError>>,
    ) -> Flight {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last {
            let since = last.at.elapsed();
            let goes_on = last.flight.peek().is_none() && since < pace.timeout;
            if since < pace.floor || goes_on {
                return last.flight.clone();
            }
        }
        // One that panicked would make everybody panic who looks at it.
        let fetched = AssertUnwindSafe(fetch()).catch_unwind();
        let flight = fetched
            .map(|fetched| told(fetched.unwrap_or_else(|payload| Err(panicked(payload)))))
            .boxed()
            .shared();
        *last = Some(Attempt {
            at: Instant::now(),
            flight: flight.clone(),
        });
        flight
    }

    /// It takes too long: from now on it has failed, so that nobody else waits for it.
    fn give_up(&self, flight: &Flight, after: Duration) -> KeyError {
        let error = late(after);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &mut *last
            && last.flight.ptr_eq(flight)
        {
            last.flight = ready(told(Err(error.clone()))).boxed().shared();
        }
        error
    }
}

/// Says so in the log if there are no keys: once for each attempt.
fn told(fetched: Result<(), KeyError>) -> Result<(), KeyError> {
    fetched.inspect_err(|error| {
        tracing::warn!(error = %error, "the keys that tokens are signed with cannot be fetched");
    })
}

fn late(after: Duration) -> KeyError {
    KeyError::new(
        KeyErrorKind::Unreachable,
        format!("the `keys` were not there after {after:?}; look whether the provider is well"),
    )
}

fn panicked(payload: Box<dyn Any + Send>) -> KeyError {
    let message = panic_message(payload);
    KeyError::new(
        KeyErrorKind::Unreachable,
        format!("what fetches the `keys` panicked: {message}; mend it"),
    )
}
