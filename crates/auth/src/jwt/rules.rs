//! Which tokens count, and what their claims mean.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::TokenAlgorithm;

/// Else a typing error makes tokens last for ever.
const MOST_LEEWAY: Duration = Duration::from_mins(5);

/// Which tokens count, and what their claims mean.
///
/// Names of claims are names, or JSON pointers if they start with `/`: `org_id`, `https://example.org/org`,
/// `/realm_access/roles`.
///
/// ```
/// use std::time::Duration;
/// use stageflow_auth::{JwtRules, TokenAlgorithm};
///
/// let rules = JwtRules::new("https://id.example.org", "docs-api")
///     .algorithms([TokenAlgorithm::Es256, TokenAlgorithm::EdDsa])
///     .leeway(Duration::from_secs(2))
///     .org_claim("tenant")
///     .roles_claim("/realm_access/roles");
/// # let _ = rules;
/// ```
///
/// Without an issuer and an audience there are no rules:
///
/// ```compile_fail,E0061
/// let rules = stageflow_auth::JwtRules::new("https://id.example.org");
/// ```
#[derive(Clone, Debug)]
pub struct JwtRules {
    pub(super) issuer: Arc<str>,
    pub(super) audience: Arc<str>,
    pub(super) algorithms: BTreeSet<TokenAlgorithm>,
    pub(super) leeway: Duration,
    pub(super) max_len: NonZeroUsize,
    pub(super) org: Arc<str>,
    pub(super) roles: Arc<str>,
    pub(super) scopes: Option<Arc<str>>,
    pub(super) region: Arc<str>,
}

impl JwtRules {
    /// Tokens that `issuer` made for `audience`, each compared to the letter. If one of them is empty, no token counts.
    pub fn new(issuer: impl Into<Arc<str>>, audience: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms: BTreeSet::from(TokenAlgorithm::ALL),
            leeway: Duration::from_secs(5),
            max_len: const { NonZeroUsize::new(16 * 1024).unwrap() },
            org: "org_id".into(),
            roles: "roles".into(),
            scopes: None,
            region: "region".into(),
        }
    }

    /// The same, for tokens that are signed in one of these ways. With none, no token counts.
    #[must_use]
    pub fn algorithms(self, algorithms: impl IntoIterator<Item = TokenAlgorithm>) -> Self {
        Self {
            algorithms: algorithms.into_iter().collect(),
            ..self
        }
    }

    /// The same, for clocks that are at most so far apart: 5 s if nothing else is said. A token counts from `nbf - leeway` on,
    /// that moment included, until `exp + leeway`, that moment not included. More than 5 minutes count as 5 minutes: clocks
    /// that are further apart are wrong.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        let leeway = leeway.min(MOST_LEEWAY);
        Self { leeway, ..self }
    }

    /// The same, for tokens of at most so many bytes: 16 KiB if nothing else is said. Of a longer one nothing is read.
    #[must_use]
    pub fn max_len(self, max_len: NonZeroUsize) -> Self {
        Self { max_len, ..self }
    }

    /// The claim with the org, `org_id` if nothing else is said: an [`OrgId`](stageflow_context::OrgId), or the UUID of one.
    #[must_use]
    pub fn org_claim(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            org: name.into(),
            ..self
        }
    }

    /// The claim with the roles, `roles` if nothing else is said: a text, or a list of texts.
    #[must_use]
    pub fn roles_claim(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            roles: name.into(),
            ..self
        }
    }

    /// The claim with the scopes: a text with spaces between them, or a list of texts. If nothing is said, the scopes of
    /// `scope`, `scopes` and `scp` count together.
    #[must_use]
    pub fn scopes_claim(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            scopes: Some(name.into()),
            ..self
        }
    }

    /// The claim with the region, `region` if nothing else is said.
    #[must_use]
    pub fn region_claim(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            region: name.into(),
            ..self
        }
    }
}
