//! The key under which a run may be asked for again.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::snapshot::probe::probe;

/// How deep what a digest is made of may be nested.
const MAX_DEPTH: usize = 128;

/// A run that may be asked for again: the key of the request, and what it asked for. Work that was done under the key is not
/// done again, if the engine has a layer for that.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{Idempotency, IdempotencyKey};
///
/// let key: IdempotencyKey = "order-17".parse()?;
/// let first = Idempotency::new(key.clone()).with_parameters(&json!({ "amount": 100 }))?;
/// let again = Idempotency::new(key).with_parameters(&json!({ "amount": 1000 }))?;
/// assert_ne!(first.fingerprint(), again.fingerprint());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    key: IdempotencyKey,
    fingerprint: Option<Fingerprint>,
}

impl Idempotency {
    /// A request with this key, of which nothing else is known.
    #[must_use]
    pub fn new(key: IdempotencyKey) -> Self {
        Self {
            key,
            fingerprint: None,
        }
    }

    /// The same, with what it asks for. Only a digest of it is kept: of its JSON with sorted keys.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON.
    pub fn with_parameters(self, parameters: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            fingerprint: Some(Fingerprint::of(parameters)?),
            ..self
        })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// The digest of the parameters, if they are known. Unknown ones are equal to none.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }
}

/// What a caller calls a request: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The longest a key may be, in bytes.
    pub const MAX: usize = 255;

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(IdempotencyKeyError { why: "it is empty" });
        }
        if text.len() > Self::MAX {
            return Err(IdempotencyKeyError {
                why: "it is longer than 255 bytes",
            });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdempotencyKeyError {
                why: "it has characters that are not visible ASCII",
            });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({:?})", &*self.0)
    }
}

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SF0220: this is no idempotency key: {why}; use 1 to 255 visible ASCII characters, such as a UUID"
)]
pub struct IdempotencyKeyError {
    why: &'static str,
}

impl IdempotencyKeyError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0220"
    }
}

/// A digest of what was asked for: SHA-256 of its JSON with sorted keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of anything that can be written as JSON.
    ///
    /// # Errors
    ///
    /// If it cannot, has a number that is not finite, or is nested too deep.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        // What is not finite would be written as `null`, and so be taken for something else.
        probe(&value, MAX_DEPTH).map_err(serde::ser::Error::custom)?;
        let mut json = serde_json::to_value(value)?;
        // A program may have `serde_json` keep the order in which keys came.
        json.sort_all_objects();
        let mut digest = Sha256::new();
        serde_json::to_writer(&mut digest, &json)?;
        Ok(Self(digest.finalize().into()))
    }

    /// One that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
