//! Several keys, found by name.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::Value;

use super::{KeyError, KeyErrorKind, VerifyingKey};

/// Keys in the order in which they were published.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Arc<VerifyingKey>>);

impl KeySet {
    pub(super) fn of(key: VerifyingKey) -> Self {
        Self(vec![Arc::new(key)])
    }

    pub(super) fn add(&mut self, key: VerifyingKey) {
        self.0.push(Arc::new(key));
    }

    /// The keys of a JSON Web Key Set (RFC 7517) that count here. Others are left out: sets hold keys for encryption, too.
    pub(super) fn read(text: &str, most: NonZeroUsize) -> Result<Self, KeyError> {
        let unreadable = || {
            KeyError::new(
                KeyErrorKind::Unreadable,
                "the text of the `keys` is not a JSON Web Key Set; give a document with a list `keys`",
            )
        };
        let document: Value = serde_json::from_str(text).map_err(|_| unreadable())?;
        let keys = document.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(unreadable)?;
        if keys.len() > most.get() {
            return Err(KeyError::new(
                KeyErrorKind::TooMuch,
                format!(
                    "the `keys` are {}, which is more than {most}; remove some, or raise `Jwks::max_keys`",
                    keys.len()
                ),
            ));
        }
        let read: Vec<_> = keys
            .iter()
            .filter_map(VerifyingKey::from_jwk)
            .map(Arc::new)
            .collect();
        if read.is_empty() {
            return Err(KeyError::new(
                KeyErrorKind::NoKeys,
                format!(
                    "of {} `keys` none is a public key that signs with RS256, PS256, ES256 or EdDSA; add one",
                    keys.len()
                ),
            ));
        }
        Ok(Self(read))
    }

    /// The key of this name; without a name the only one there is. A name that two keys have is nobody's: which of them was meant
    /// must not depend on their order.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<Arc<VerifyingKey>> {
        match (kid, &*self.0) {
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
            (Some(_), keys) => {
                let mut named = keys.iter().filter(|key| key.kid() == kid);
                let first = named.next();
                first.filter(|_| named.next().is_none()).cloned()
            }
        }
    }
}
