//! One key that signatures are held against.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use serde_json::Value;

use super::{KeyError, KeyErrorKind};
use crate::TokenAlgorithm;

/// A public key, and the one way in which it signs. A token has no say in that.
pub struct VerifyingKey {
    kid: Option<Arc<str>>,
    algorithm: TokenAlgorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// The key in a JSON Web Key (RFC 7517), if it is a public one that is meant for signatures, in a way that counts here. An RSA
    /// key that does not say how it signs counts for RS256.
    #[must_use]
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let named = |name: &str| jwk.get(name).and_then(Value::as_str);
        let for_signatures = named("use").is_none_or(|purpose| purpose == "sig")
            && match jwk.get("key_ops") {
                None => true,
                Some(many) => many.as_array()?.iter().any(|one| one == "verify"),
            };
        if !for_signatures {
            return None;
        }
        // Only what is needed: a field that the library does not understand is no reason to go without the key.
        let fields = ["kty", "crv", "n", "e", "x", "y"];
        let fields = fields.map(|name| Some((name.to_owned(), jwk.get(name)?.clone())));
        let read: Jwk = serde_json::from_value(fields.into_iter().flatten().collect()).ok()?;
        let of_kind = match &read.algorithm {
            AlgorithmParameters::RSA(_) => &[TokenAlgorithm::Rs256, TokenAlgorithm::Ps256][..],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                &[TokenAlgorithm::Es256]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[TokenAlgorithm::EdDsa]
            }
            _ => return None,
        };
        let algorithm = match named("alg") {
            None => *of_kind.first()?,
            Some(name) => TokenAlgorithm::named(name).filter(|one| of_kind.contains(one))?,
        };
        Some(Self {
            kid: named("kid").map(Arc::from),
            algorithm,
            key: DecodingKey::from_jwk(&read).ok()?,
        })
    }

    /// The key in a PEM file, which signs in this way.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not a public key of that kind.
    pub fn from_pem(algorithm: TokenAlgorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let unreadable = || {
            KeyError::new(
                KeyErrorKind::Unreadable,
                format!(
                    "the `pem` is not a public key for {algorithm}; give the file that starts with `BEGIN PUBLIC KEY`"
                ),
            )
        };
        let private = b"PRIVATE KEY";
        if pem.windows(private.len()).any(|window| window == private) {
            // It would be kept in memory for nothing, and it is likely that it was not meant.
            return Err(unreadable());
        }
        let read = match algorithm {
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::Ps256 | TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
        };
        Ok(Self {
            kid: None,
            algorithm,
            key: read.map_err(|error| unreadable().because(error))?,
        })
    }

    /// The same, called this in tokens.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<Arc<str>>) -> Self {
        Self {
            kid: Some(kid.into()),
            ..self
        }
    }

    /// What it is called in tokens, if it has a name.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
    }

    /// Whether this is its signature under this text.
    #[must_use]
    pub fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        // By name, and not by whatever a process has set: another crate in the same program may have chosen otherwise.
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.library(), &self.key);
        verifier.is_ok_and(|verifier| verifier.verify(text, &signature.to_vec()).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
