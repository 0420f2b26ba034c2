//! Keys that programs are given.

mod error;
mod key;

pub use error::{ApiKeyError, ApiKeyErrorKind};
pub use key::{ApiKey, KeyId, SealedKey};

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use stageflow_context::{Credentials, SystemClock, WallClock};

use crate::{AuthError, AuthErrorKind, Authenticator, Principal};
use key::Shown;

/// Knows programs by their keys. It keeps a hash of each key's secret, and compares in constant time. A principal of whom was not said
/// which user they are is [made one](crate::user_of()).
///
/// It is a handle: clones know the same keys, so that a key can be added and taken away while engines run.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_auth::{ApiKey, ApiKeys, AuthErrorKind, Authenticator, Principal};
/// use stageflow_context::{OrgId, SystemIds};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ids = SystemIds::new();
/// let keys = ApiKeys::new(const { NonZeroUsize::new(1000).unwrap() });
///
/// let key = ApiKey::generate(&ids);
/// keys.add(key.seal(Principal::new("nightly-import", OrgId::generate(&ids)).with_scope("kb:write")))?;
/// assert_eq!(keys.authenticate(&key.credentials()).await?.subject(), "nightly-import");
///
/// keys.revoke(key.id().as_str());
/// let error = keys.authenticate(&key.credentials()).await.unwrap_err();
/// assert_eq!(error.kind(), AuthErrorKind::Unsigned);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ApiKeys {
    keys: Arc<RwLock<HashMap<KeyId, Arc<SealedKey>>>>,
    most: NonZeroUsize,
    clock: Arc<dyn WallClock>,
}

impl ApiKeys {
    /// No key yet, and room for so many.
    #[must_use]
    pub fn new(most: NonZeroUsize) -> Self {
        Self {
            keys: Arc::default(),
            most,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same, with this time of day.
    #[must_use]
    pub fn with_clock(self, clock: impl WallClock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Takes a key from now on.
    ///
    /// # Errors
    ///
    /// [`ApiKeyError`] if there is no room, or a key of that id.
    pub fn add(&self, key: SealedKey) -> Result<(), ApiKeyError> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.contains_key(key.id()) {
            return Err(ApiKeyError::taken(key.id()));
        }
        if keys.len() >= self.most.get() {
            return Err(ApiKeyError::full(self.most));
        }
        keys.insert(key.id().clone(), Arc::new(key));
        Ok(())
    }

    /// Takes this key no more. `false` if there was none of that id.
    pub fn revoke(&self, id: &str) -> bool {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.remove(id).is_some()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, id: &str) -> Option<Arc<SealedKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(id).cloned()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({} of {})", self.len(), self.most)
    }
}

#[async_trait]
impl Authenticator for ApiKeys {
    fn takes(&self, credentials: &Credentials) -> bool {
        matches!(credentials, Credentials::ApiKey(_))
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        let Credentials::ApiKey(text) = credentials else {
            return Err(unreadable("the `credentials` are no key; send an API key"));
        };
        let shown = Shown::of(text.expose()).ok_or_else(|| {
            unreadable(
                "the `api key` does not have the form of one: `sfk_`, an id, `_`, a secret; send it as it was given out",
            )
        })?;
        // Ids are not secret: how long it takes to find none may be seen.
        let key = self
            .find(shown.id)
            .filter(|key| key.opens_with(shown.secret));
        let key = key.ok_or_else(|| {
            AuthError::new(
                AuthErrorKind::Unsigned,
                "the `api key` is not one that is known here: it was revoked, or its secret is wrong; ask for a new one",
            )
        })?;
        match key.valid_until() {
            Some(end) if end <= self.clock.now() => Err(AuthError::new(
                AuthErrorKind::Expired,
                format!(
                    "the api key `{}` is not valid any more; ask for a new one",
                    key.id()
                ),
            )),
            Some(end) => Ok(key.principal().clone().with_some_user().until(end)),
            None => Ok(key.principal().clone().with_some_user()),
        }
    }
}

fn unreadable(detail: &str) -> AuthError {
    AuthError::new(AuthErrorKind::Unreadable, detail)
}
