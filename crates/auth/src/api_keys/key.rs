//! A key as it is given out, and as it is kept.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use stageflow_context::{Credentials, IdSource, Redacted};
use subtle::ConstantTimeEq as _;

use crate::Principal;

/// What every key starts with, so that a key that lies about is known for one.
pub(super) const PREFIX: &str = "sfk_";

/// A new key: `sfk_`, its id, `_`, its secret. It is shown once, to whoever gets it; what is kept is [`SealedKey`].
///
/// ```
/// use stageflow_auth::{ApiKey, Principal};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let ids = SystemIds::new();
/// let key = ApiKey::generate(&ids);
/// assert!(key.reveal().expose().starts_with("sfk_"));
/// assert!(format!("{key:?}").contains("[redacted]"));
///
/// let kept = key.seal(Principal::new("nightly-import", OrgId::generate(&ids)));
/// assert_eq!(kept.id(), key.id());
/// ```
#[derive(Clone, Debug)]
pub struct ApiKey {
    id: KeyId,
    secret: Redacted<String>,
}

impl ApiKey {
    /// A key that is made of what is random in `ids`: at least 256 bits with [`SystemIds`](stageflow_context::SystemIds).
    /// With [`SeededIds`](stageflow_context::SeededIds), which tests use, anybody who knows the seed knows the key.
    #[must_use]
    pub fn generate(ids: &(impl IdSource + ?Sized)) -> Self {
        // An id has 74 random bits; its first ones are the time.
        let id = Sha256::digest(ids.next_uuid());
        let mut secret = Sha256::new_with_prefix("stageflow api key");
        for _ in 0..4 {
            secret.update(ids.next_uuid());
        }
        Self {
            id: KeyId(hex::encode(&id[..8]).into()),
            secret: Redacted::new(hex::encode(secret.finalize())),
        }
    }

    /// What the key is called. It is not secret.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The whole key, for whoever gets it.
    #[must_use]
    pub fn reveal(&self) -> Redacted<String> {
        let secret = self.secret.expose();
        Redacted::new(format!("{PREFIX}{}_{secret}", self.id))
    }

    /// The key as credentials.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::ApiKey(self.reveal())
    }

    /// What is kept of it: whoever shows it is `principal`.
    #[must_use]
    pub fn seal(&self, principal: Principal) -> SealedKey {
        SealedKey {
            id: self.id.clone(),
            hash: Hash::of(self.secret.expose()),
            principal,
            valid_until: None,
        }
    }
}

/// What a key is called: sixteen hex digits. It is not secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is kept of a key: its id, a hash of its secret, and who shows it. The secret cannot be found from it: it has more random
/// bits than can be tried, so a plain SHA-256 is enough, and is fast.
#[derive(Clone, Debug)]
pub struct SealedKey {
    id: KeyId,
    hash: Hash,
    principal: Principal,
    valid_until: Option<SystemTime>,
}

impl SealedKey {
    /// A key that was kept somewhere: its id, and [`SealedKey::hash`]. `None` if these are not of a key.
    #[must_use]
    pub fn restored(id: &str, hash: &str, principal: Principal) -> Option<Self> {
        Some(Self {
            id: (id.len() == 16 && hex::decode(id).ok()?.len() == 8).then(|| KeyId(id.into()))?,
            hash: Hash(hex::decode(hash).ok()?.try_into().ok()?),
            principal,
            valid_until: None,
        })
    }

    /// The same; from this moment on it is not valid.
    #[must_use]
    pub fn until(self, end: SystemTime) -> Self {
        Self {
            valid_until: Some(end),
            ..self
        }
    }

    /// What the key is called.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// SHA-256 of the secret, in hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(self.hash.0)
    }

    /// Who shows it.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// When it ends, if it does.
    #[must_use]
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.valid_until
    }

    /// Whether this is its secret, in a time that does not depend on how much of it is right.
    pub(super) fn opens_with(&self, secret: &str) -> bool {
        self.hash.0.ct_eq(&Hash::of(secret).0).into()
    }
}

#[derive(Clone, Copy)]
struct Hash([u8; 32]);

impl Hash {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A key that was shown, taken apart.
pub(super) struct Shown<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
}

impl<'a> Shown<'a> {
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        (id.len() == 16 && secret.len() == 64).then_some(Self { id, secret })
    }
}
