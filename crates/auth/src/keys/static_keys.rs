//! Keys that the program has.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::set::KeySet;
use super::{KeyError, KeySource, VerifyingKey};
use crate::{AuthError, TokenAlgorithm};

/// Keys that the program has, and that do not change while it runs.
///
/// A token that names a key is held against that key; one that names none, against the only key there is.
#[derive(Debug)]
pub struct StaticKeys(KeySet);

/// More keys than this are no set that somebody wrote.
const MOST: NonZeroUsize = const { NonZeroUsize::new(1000).unwrap() };

impl StaticKeys {
    /// This key so far.
    #[must_use]
    pub fn of(key: VerifyingKey) -> Self {
        Self(KeySet::of(key))
    }

    /// The same, and this key.
    #[must_use]
    pub fn or(mut self, key: VerifyingKey) -> Self {
        self.0.add(key);
        self
    }

    /// The key in this PEM file, which signs in this way.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not a public key of that kind.
    pub fn pem(algorithm: TokenAlgorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        VerifyingKey::from_pem(algorithm, pem).map(Self::of)
    }

    /// The keys of a JSON Web Key Set (RFC 7517) that sign in a way that counts here; others are left out.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no such set, or none of its keys counts.
    pub fn jwks(json: &str) -> Result<Self, KeyError> {
        KeySet::read(json, MOST).map(Self)
    }
}

#[async_trait]
impl KeySource for StaticKeys {
    async fn key(&self, kid: Option<&str>) -> Result<Option<Arc<VerifyingKey>>, AuthError> {
        Ok(self.0.find(kid))
    }
}
