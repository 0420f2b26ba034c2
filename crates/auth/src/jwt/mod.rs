//! Signed tokens.

mod algorithm;
mod claims;
mod rules;
mod token;
mod unique;

pub use algorithm::TokenAlgorithm;
pub use rules::JwtRules;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::{Credentials, SystemClock, WallClock};

use crate::keys::KeySource;
use crate::{AuthError, AuthErrorKind, Authenticator, Principal};
use token::{Token, unreadable};

/// Knows people by signed tokens (JWT, RFC 7519; checked as RFC 8725 advises).
///
/// A token counts if all of this is so, in this order: it is not too long; it has three parts, and no `crit`; there is a key of
/// its `kid`; its `alg` is the *key's* algorithm, and one that the rules allow; the signature is the key's; `iss` and `aud` are
/// those of the rules; it has an `exp` that is not over, and an `nbf` that has come if it has one; it has a `sub`; it has an org.
/// Which user that is says [`user_of`](crate::user_of()). Other claims are not looked at, and what the header says about keys
/// (`jwk`, `jku`, `x5u`) is never followed.
///
/// ```
/// use stageflow_auth::{JwtAuthenticator, JwtRules, StaticKeys, TokenAlgorithm};
///
/// # fn main() -> Result<(), stageflow_auth::KeyError> {
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
/// -----END PUBLIC KEY-----
/// ";
/// let keys = StaticKeys::pem(TokenAlgorithm::EdDsa, pem)?;
/// let door = JwtAuthenticator::new(keys, JwtRules::new("https://id.example.org", "docs-api"));
/// # let _ = door;
/// # Ok(()) }
/// ```
pub struct JwtAuthenticator {
    keys: Box<dyn KeySource>,
    rules: JwtRules,
    clock: Arc<dyn WallClock>,
}

impl JwtAuthenticator {
    /// Tokens that are signed with one of these keys, and keep to these rules.
    pub fn new(keys: impl KeySource, rules: JwtRules) -> Self {
        Self {
            keys: Box::new(keys),
            rules,
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

    async fn signed(&self, token: &Token<'_>) -> Result<(), AuthError> {
        let unsigned = |detail: &str| AuthError::new(AuthErrorKind::Unsigned, detail);
        let algorithm = token.header.algorithm().ok_or_else(|| {
            unsigned("the `alg` of the token is none that counts here; let it be signed with RS256, PS256, ES256 or EdDSA")
        })?;
        let key = self.keys.key(token.header.kid.as_deref()).await?;
        let key = key.ok_or_else(|| {
            unsigned("no key has the `kid` of the token, or it names none and there are several; ask for a new token")
        })?;
        if key.algorithm() != algorithm {
            return Err(unsigned(
                "the `alg` of the token is not that of its key, which decides; let it be signed as the key says",
            ));
        }
        if !self.rules.algorithms.contains(&algorithm) {
            return Err(unsigned(
                "the `alg` of the token is one that the rules leave out; name it in `JwtRules::algorithms`, or let it be signed otherwise",
            ));
        }
        if !key.signed(token.signed, &token.signature) {
            return Err(unsigned(
                "the `signature` of the token is not that of its key: it was changed, or made by somebody else; ask for a new one",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthenticator")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    fn takes(&self, credentials: &Credentials) -> bool {
        matches!(credentials, Credentials::Bearer(_))
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        let Credentials::Bearer(text) = credentials else {
            return Err(unreadable(
                "the `credentials` are no token; send a bearer token",
            ));
        };
        let (text, most) = (text.expose(), self.rules.max_len);
        if text.len() > most.get() {
            return Err(AuthError::new(
                AuthErrorKind::TooLong,
                format!(
                    "the `token` has {} bytes, which is more than {most}; ask for one with fewer claims, or raise `JwtRules::max_len`",
                    text.len()
                ),
            ));
        }
        let token = Token::of(text)?;
        let proved = match self.signed(&token).await {
            Ok(()) => {
                let now = self.clock.now();
                let claims = token.claims();
                claims.and_then(|claims| claims::principal(&claims, &self.rules, now))
            }
            Err(error) => Err(error),
        };
        proved.map_err(|error| error.claiming(token.claimed()))
    }
}
