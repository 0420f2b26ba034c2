//! One call that asks whether its work was done, is under way, or is its own to do.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_context::{ErrorClass, StageErrorKind};
use tokio::time::{Instant, timeout, timeout_at};

use super::hold::{Hold, Worked, later};
use super::work::failed;
use super::{
    Asker, Begun, Failures, Finished, IdempotentWork, KeepFor, Keeps, Kept, NAME, Scope, Skips,
    StoreError, StoreErrorKind, StoreTrouble, Token,
};
use crate::millis::millis_passed;
use crate::{Call, Ending, Next};

/// How long a call waits in a run without a deadline.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Asking<'a> {
    layer: &'a IdempotentWork,
    scope: Scope,
    asker: Asker,
    since: Instant,
    /// Until when it waits; `None` if the run ends before it loses patience.
    until: Option<Instant>,
    waited: bool,
}

impl<'a> Asking<'a> {
    pub(super) fn new(
        layer: &'a IdempotentWork,
        scope: Scope,
        asker: Asker,
        deadline: Option<Instant>,
    ) -> Self {
        let since = Instant::now();
        let until = match (layer.wait, deadline) {
            (Some(wait), _) => Some(later(since, wait)),
            (None, Some(_)) => None,
            (None, None) => Some(later(since, PATIENCE)),
        };
        Self {
            layer,
            scope,
            asker,
            since,
            until,
            waited: false,
        }
    }

    /// The answer of whoever has done the work, or of the stage itself.
    pub(super) async fn answer(&mut self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        // What the stage has answered, if the store did not take it because the hold was lost.
        let mut own: Option<Ending> = None;
        loop {
            let asked = Instant::now();
            let token = match self.begun().await {
                Ok(Begun::Mine(token)) => token,
                Ok(Begun::Done(kept)) => return self.replayed(call, kept),
                other => match own.take() {
                    // It was done, and nobody has another answer.
                    Some(ending) => return ending,
                    None => return self.refused(call, next, other).await,
                },
            };
            let since = if self.waited { Instant::now() } else { asked };
            let layer = self.layer;
            let mut hold = Hold::new(&*layer.store, &self.scope, token, layer.lease, since);
            let ending = match own.take() {
                Some(ending) => ending,
                None => {
                    self.say_took_over(call, token);
                    match hold.during(next.run(call), layer.trouble).await {
                        Worked::Done(ending) => ending,
                        Worked::Lost => {
                            call.tell(NAME, "lost", json!({}));
                            continue;
                        }
                        Worked::Unknown(error) => return rejected_by(call, error),
                    }
                }
            };
            match self.settled(call, hold, &ending).await {
                Finished::Kept => return ending,
                Finished::Lost => own = Some(ending),
            }
        }
    }

    /// What the store says, after all the waiting there is patience for.
    async fn begun(&mut self) -> Result<Begun, StoreError> {
        let IdempotentWork { store, lease, .. } = self.layer;
        let begun = store.begin(&self.scope, &self.asker, *lease);
        // Who does not wait for a holder still gives the store the time of a lease to answer.
        let patience = self.until.map(|until| until.max(later(self.since, *lease)));
        let begun = within(patience, begun).await.unwrap_or_else(|| {
            Err(StoreError::unavailable(
                "it took longer than the call waits",
            ))
        })?;
        if !matches!(begun, Begun::Held(_)) {
            return Ok(begun);
        }
        self.waited = true;
        let waiting = store.wait(&self.scope, &self.asker, *lease);
        match within(self.until, waiting).await {
            Some(begun) => begun,
            // Once more: to know how long it goes on at least.
            None => {
                let begun = store.begin(&self.scope, &self.asker, *lease);
                let begun = timeout(*lease, begun).await;
                begun.unwrap_or_else(|elapsed| Err(StoreError::unavailable(elapsed)))
            }
        }
    }

    /// The ending of a call that is neither its own to do nor done.
    async fn refused(
        &self,
        call: &mut Call<'_>,
        next: Next<'_>,
        begun: Result<Begun, StoreError>,
    ) -> Ending {
        match begun {
            Ok(Begun::Mismatch) => {
                call.tell(NAME, "mismatch", json!({}));
                Ending::Failed(call.bare_error(StageErrorKind::KeyReused))
            }
            Ok(Begun::Held(rest)) => self.rejected(call, Some(rest)),
            Ok(_) => self.rejected(call, None),
            Err(error) => self.in_trouble(call, next, error).await,
        }
    }

    /// Gives the ending to the store, or lets go if it is none to keep.
    async fn settled(&self, call: &mut Call<'_>, mut hold: Hold<'_>, ending: &Ending) -> Finished {
        let (kept, keep) = match self.kept(call, ending) {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                hold.release().await;
                return Finished::Kept;
            }
            Err(error) => {
                // It was done: to let others do it again at once would be worse than to let them wait.
                not_kept(call, &error);
                hold.keep_silent();
                return Finished::Kept;
            }
        };
        match hold.finish(kept, keep).await {
            Ok(finished) => finished,
            Err(error) => {
                not_kept(call, &error);
                Finished::Kept
            }
        }
    }

    /// What is kept of an ending, and for how long.
    fn kept(
        &self,
        call: &Call<'_>,
        ending: &Ending,
    ) -> Result<Option<(Kept, KeepFor)>, StoreError> {
        let layer = self.layer;
        let for_good = KeepFor::Time(layer.ttl);
        Ok(match ending {
            Ending::Succeeded(value) => {
                let kept = match layer.store.keeps() {
                    Keeps::Values => Kept::Value(value.clone()),
                    Keeps::Bytes => Kept::Bytes(layer.codec.write(value, call.value_type_name())?),
                };
                Some((kept, for_good))
            }
            Ending::Skipped(reason) if layer.skips == Skips::Keep => {
                Some((Kept::Skipped(Arc::clone(reason)), for_good))
            }
            Ending::Failed(error) if error.class() == ErrorClass::Permanent => {
                let kept = || Kept::Failed(error.clone());
                match layer.failures {
                    Failures::Forget => None,
                    Failures::Share => Some((kept(), KeepFor::Waiters)),
                    Failures::Keep => Some((kept(), for_good)),
                }
            }
            _ => None,
        })
    }

    fn replayed(&self, call: &Call<'_>, kept: Kept) -> Ending {
        let (what, ending) = match kept {
            Kept::Value(value) => ("value", self.checked(call, value)),
            Kept::Bytes(bytes) => {
                let (of, name) = (call.value_type(), call.value_type_name());
                let value = self.layer.codec.read(&bytes, of, name);
                let ending = value.map_or_else(|error| failed(call, error), Ending::Succeeded);
                ("value", ending)
            }
            Kept::Failed(error) => ("failure", Ending::Failed(error)),
            Kept::Skipped(reason) => ("skip", Ending::Skipped(reason)),
        };
        let how = if self.waited { "waited" } else { "replayed" };
        call.tell(NAME, how, json!({ "answer": what, "waited_ms": self.ms() }));
        ending
    }

    /// A value that another stage has kept under the same names may be of another type.
    fn checked(&self, call: &Call<'_>, value: stageflow_context::DynValue) -> Ending {
        if value.type_id_of_value() == call.value_type() {
            return Ending::Succeeded(value);
        }
        let reason = format!("it is not a `{}`", call.value_type_name());
        failed(call, StoreError::unreadable(reason))
    }

    fn say_took_over(&self, call: &Call<'_>, token: Token) {
        if self.waited {
            let payload = json!({ "token": token.get(), "waited_ms": self.ms() });
            call.tell(NAME, "took_over", payload);
        }
    }

    fn rejected(&self, call: &Call<'_>, rest: Option<Duration>) -> Ending {
        let waited = self.since.elapsed();
        let reason = format!("another call does the same work, and has not ended after {waited:?}");
        Ending::Failed(call.rejected(NAME, reason, rest))
    }

    async fn in_trouble(&self, call: &mut Call<'_>, next: Next<'_>, error: StoreError) -> Ending {
        if *error.kind() == StoreErrorKind::Unreadable {
            // There is an answer, so the work was done.
            return failed(call, error);
        }
        match self.layer.trouble {
            StoreTrouble::Refuse => rejected_by(call, error),
            StoreTrouble::Proceed => {
                let payload = json!({ "because": error.to_string() });
                call.tell(NAME, "unprotected", payload);
                next.run(call).await
            }
        }
    }

    fn ms(&self) -> u64 {
        millis_passed(self.since.elapsed())
    }
}

async fn within<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, work).await.ok(),
        None => Some(work.await),
    }
}

/// The store is in trouble, and so the call is not made.
fn rejected_by(call: &Call<'_>, error: StoreError) -> Ending {
    Ending::Failed(call.error(StageErrorKind::Rejected, error))
}

fn not_kept(call: &Call<'_>, error: &StoreError) {
    call.tell(NAME, "not_kept", json!({ "because": error.to_string() }));
}
