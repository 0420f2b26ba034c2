//! Keys that an identity provider publishes, and changes.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::time::Instant;

use super::attempt::{Attempts, Pace};
use super::set::KeySet;
use super::{KeyError, KeySource, VerifyingKey};
use crate::{AuthError, AuthErrorKind};

/// Brings the text of a JSON Web Key Set from where it is published.
#[async_trait]
pub trait JwksFetch: Send + Sync + 'static {
    /// The set as it is now.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it cannot be had.
    ///
    /// # Cancellation
    ///
    /// The future is dropped when it takes too long. When nobody waits for it any more it is polled no further, until somebody
    /// needs the keys again: then it goes on, or is dropped if the next attempt is due.
    async fn fetch(&self) -> Result<String, KeyError>;
}

/// Keys that an identity provider publishes, kept for a while.
///
/// | what happens | what is done |
/// |---|---|
/// | a token names a key that is here, and the keys are fresh | nothing is fetched |
/// | the keys are older than `max_age` (10 min) | they are fetched anew, then it is decided |
/// | a token names a key that is not here | the keys are fetched anew, then it is decided |
/// | the last attempt was less than `floor` (60 s) ago | nothing is fetched, and what is here decides |
/// | the fetch fails, or takes longer than `timeout` (5 s) | keys that are no older than `max_age + grace` (1 h) decide; a key that is not among them, or keys that are older, are undecided |
///
/// So a key that was added counts at the first token that names it, and one that was removed is refused `max_age` later at
/// the latest; with the server away, `max_age + grace`. However many tokens with made-up keys come in, the server sees one
/// request in `floor` (by discovery two: the document and the keys). Only one fetch goes on at a time, and whoever needs it waits
/// for it, `timeout` at most.
///
/// A fetch belongs to nobody. Whoever began it may go away, because of a short deadline or on purpose: it counts as an attempt all
/// the same, and the next one who needs the keys drives it on. So nobody can close the door for the others, nor make the server see
/// more.
pub struct Jwks {
    fetch: Arc<dyn JwksFetch>,
    max_age: Duration,
    floor: Duration,
    grace: Duration,
    timeout: Duration,
    most: NonZeroUsize,
    kept: Arc<ArcSwapOption<Kept>>,
    attempts: Attempts,
}

/// Keys, and when they were known to be published.
struct Kept {
    keys: KeySet,
    since: Instant,
}

impl Jwks {
    /// The keys that `fetch` brings. Nothing is fetched before the first token comes.
    pub fn new(fetch: impl JwksFetch) -> Self {
        Self {
            fetch: Arc::new(fetch),
            max_age: Duration::from_mins(10),
            floor: Duration::from_secs(60),
            grace: Duration::from_hours(1),
            timeout: Duration::from_secs(5),
            most: const { NonZeroUsize::new(100).unwrap() },
            kept: Arc::default(),
            attempts: Attempts::default(),
        }
    }

    /// The same; keys are fetched anew when they are older than this.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// The same; at least so much time is between two fetches.
    #[must_use]
    pub fn floor(self, floor: Duration) -> Self {
        Self { floor, ..self }
    }

    /// The same; while the keys cannot be had, those that are here are good for so much longer than `max_age`.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The same; a fetch that takes longer has failed.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same, for sets of at most so many keys: 100 if nothing else is said. A larger set is refused as a whole.
    #[must_use]
    pub fn max_keys(self, most: NonZeroUsize) -> Self {
        Self { most, ..self }
    }

    /// Fetches anew, unless somebody did too short a time ago. Gives why the last attempt failed, if it did.
    async fn refresh(&self) -> Option<KeyError> {
        let pace = Pace {
            floor: self.floor,
            timeout: self.timeout,
        };
        let (fetch, kept) = (Arc::clone(&self.fetch), Arc::clone(&self.kept));
        let most = self.most;
        let fetched = self.attempts.join(pace, move || {
            Box::pin(async move {
                let since = Instant::now();
                let keys = KeySet::read(&fetch.fetch().await?, most)?;
                kept.store(Some(Arc::new(Kept { keys, since })));
                Ok(())
            })
        });
        fetched.await.err()
    }

    fn found(&self, kid: Option<&str>, not_older: Duration) -> Found {
        match &*self.kept.load() {
            Some(kept) if kept.since.elapsed() <= not_older => match kept.keys.find(kid) {
                Some(key) => Found::Key(key),
                None => Found::Unknown,
            },
            _ => Found::NoKeys,
        }
    }
}

enum Found {
    Key(Arc<VerifyingKey>),
    NoKeys,
    Unknown,
}

#[async_trait]
impl KeySource for Jwks {
    async fn key(&self, kid: Option<&str>) -> Result<Option<Arc<VerifyingKey>>, AuthError> {
        if let Found::Key(key) = self.found(kid, self.max_age) {
            return Ok(Some(key));
        }
        let failed = self.refresh().await;
        match (
            self.found(kid, self.max_age.saturating_add(self.grace)),
            failed,
        ) {
            (Found::Key(key), _) => Ok(Some(key)),
            (Found::Unknown, None) => Ok(None),
            (_, failed) => Err(undecided(failed)),
        }
    }
}

fn undecided(why: Option<KeyError>) -> AuthError {
    let error = AuthError::new(
        AuthErrorKind::Undecided,
        "the `keys` that tokens are held against cannot be had, so it is not known who asks; look whether the identity provider is \
         well",
    );
    match why {
        Some(why) => error.because(why),
        None => error,
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks")
            .field("max_age", &self.max_age)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}
