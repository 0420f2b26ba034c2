//! What happens when it cannot be found out who somebody is.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stageflow_context::Credentials;
use tokio::time::Instant;

use crate::{AuthError, Principal};

/// What happens to a run when it cannot be found out who asks, because what has to be asked does not answer. Unless something
/// else is said, nobody comes in. Whoever is let in all the same is told of by an event of its own, `auth.undecided_let_in`.
///
/// It says nothing about credentials that are known to be wrong: those never come in.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use stageflow_auth::Lenience;
///
/// // Who was proved with the same credentials in the last five minutes comes in, unless they have run out since.
/// let lenient = Lenience::remember(Duration::from_secs(300), const { NonZeroUsize::new(1000).unwrap() });
/// # let _ = lenient;
/// ```
pub struct Lenience(Choice);

enum Choice {
    Ask(Box<Ask>),
    Refuse,
    Remember(Remembered),
}

type Ask = dyn Fn(&Credentials, &AuthError) -> Option<Principal> + Send + Sync;

impl Lenience {
    /// Nobody comes in. This is so if nothing else is said.
    #[must_use]
    pub const fn refuse() -> Self {
        Self(Choice::Refuse)
    }

    /// Who was proved with the same credentials, at most so long ago, comes in. The `most` that were proved last are
    /// remembered; of the credentials only a hash is.
    ///
    /// A principal whose [`valid_until`](Principal::valid_until) has passed does not come in.
    #[must_use]
    pub fn remember(how_long: Duration, most: NonZeroUsize) -> Self {
        Self(Choice::Remember(Remembered {
            how_long,
            most,
            known: Mutex::default(),
        }))
    }

    /// `ask` says who comes in, if anybody does. It gets credentials that nobody has looked at.
    pub fn ask(
        ask: impl Fn(&Credentials, &AuthError) -> Option<Principal> + Send + Sync + 'static,
    ) -> Self {
        Self(Choice::Ask(Box::new(ask)))
    }

    /// These credentials were proved just now.
    pub(crate) fn proved(&self, credentials: &Credentials, principal: &Principal) {
        if let (Choice::Remember(remembered), Some(print)) = (&self.0, Print::of(credentials)) {
            remembered.add(print, principal.clone());
        }
    }

    /// These credentials are wrong.
    pub(crate) fn forget(&self, credentials: &Credentials) {
        if let (Choice::Remember(remembered), Some(print)) = (&self.0, Print::of(credentials)) {
            remembered.lock().remove(&print);
        }
    }

    /// Who comes in without being proved.
    pub(crate) fn stand_in(&self, shown: &Credentials, error: &AuthError) -> Option<Principal> {
        match &self.0 {
            Choice::Ask(ask) => ask(shown, error),
            Choice::Refuse => None,
            Choice::Remember(remembered) => remembered.find(Print::of(shown)?),
        }
    }
}

impl fmt::Debug for Lenience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Choice::Ask(_) => "Ask",
            Choice::Refuse => "Refuse",
            Choice::Remember(_) => "Remember",
        })
    }
}

/// A hash of credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Print([u8; 32]);

impl Print {
    /// Of credentials of a kind that is known here: of others it cannot be said which are the same.
    fn of(credentials: &Credentials) -> Option<Self> {
        let (kind, text) = match credentials {
            Credentials::ApiKey(key) => ("key:", key.expose()),
            Credentials::Bearer(token) => ("bearer:", token.expose()),
            _ => return None,
        };
        let hash = Sha256::new().chain_update(kind).chain_update(text);
        Some(Self(hash.finalize().into()))
    }
}

/// Who was proved lately.
struct Remembered {
    how_long: Duration,
    most: NonZeroUsize,
    known: Mutex<HashMap<Print, (Instant, Principal)>>,
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, HashMap<Print, (Instant, Principal)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, print: Print, principal: Principal) {
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= self.most.get() && !known.contains_key(&print) {
            known.retain(|_, (proved, _)| now.duration_since(*proved) <= self.how_long);
        }
        if known.len() >= self.most.get() && !known.contains_key(&print) {
            let oldest = known.iter().min_by_key(|(_, (proved, _))| *proved);
            if let Some(oldest) = oldest.map(|(print, _)| *print) {
                known.remove(&oldest);
            }
        }
        known.insert(print, (now, principal));
    }

    fn find(&self, print: Print) -> Option<Principal> {
        let known = self.lock();
        let (proved, principal) = known.get(&print)?;
        (proved.elapsed() <= self.how_long).then(|| principal.clone())
    }
}
