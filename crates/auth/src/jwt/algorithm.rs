//! How tokens may be signed.

use std::fmt;

use jsonwebtoken::Algorithm;

/// How a token may be signed. There is no way to name an algorithm with a shared secret, or none at all: whoever can check a
/// token must not be able to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TokenAlgorithm {
    /// Ed25519; in tokens `EdDSA` or `Ed25519`.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl TokenAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Ps256, Self::Rs256];

    /// Its name in tokens and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        // RFC 9864 gives Ed25519 a name of its own.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    pub(crate) const fn library(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Ps256 => Algorithm::PS256,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
