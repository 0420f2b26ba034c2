//! Who somebody is, once it was proved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::{OrgId, UserId};

/// Who somebody is, once an [`Authenticator`](crate::Authenticator) has proved it. It travels with the run:
/// `cx.attached::<Principal>()` gives it to a stage.
///
/// ```
/// use stageflow_auth::Principal;
/// use stageflow_context::{OrgId, SystemIds};
///
/// let acme = OrgId::generate(&SystemIds::new());
/// let who = Principal::new("ada", acme).with_role("editor").with_scope("kb:read").in_region("eu");
/// assert!(who.has_scope("kb:read") && !who.has_role("admin"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    subject: Arc<str>,
    org: OrgId,
    user: Option<UserId>,
    roles: BTreeSet<Arc<str>>,
    scopes: BTreeSet<Arc<str>>,
    region: Option<Arc<str>>,
    issuer: Option<Arc<str>>,
    valid_until: Option<SystemTime>,
}

impl Principal {
    /// Somebody who is called `subject` by whoever vouches for them, and belongs to `org`. Without an org there is nobody.
    pub fn new(subject: impl Into<Arc<str>>, org: OrgId) -> Self {
        Self {
            subject: subject.into(),
            org,
            user: None,
            roles: BTreeSet::new(),
            scopes: BTreeSet::new(),
            region: None,
            issuer: None,
            valid_until: None,
        }
    }

    /// The same, who is this user.
    #[must_use]
    pub fn with_user(self, user: impl Into<Option<UserId>>) -> Self {
        Self {
            user: user.into(),
            ..self
        }
    }

    /// The same, in this role too.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Arc<str>>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// The same, with this scope too.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<Arc<str>>) -> Self {
        self.scopes.insert(scope.into());
        self
    }

    /// The same, in this region.
    #[must_use]
    pub fn in_region(self, region: impl Into<Arc<str>>) -> Self {
        Self {
            region: Some(region.into()),
            ..self
        }
    }

    /// The same, vouched for by this issuer.
    #[must_use]
    pub fn vouched_for_by(self, issuer: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    /// The same; from this moment on it has to be proved anew.
    #[must_use]
    pub fn until(self, end: impl Into<Option<SystemTime>>) -> Self {
        Self {
            valid_until: end.into(),
            ..self
        }
    }

    /// What whoever vouches for them calls them.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The org they belong to.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Which user they are, if that was said. Whoever [`Authenticate`](crate::Authenticate) lets in, and whom `JwtAuthenticator`
    /// and [`ApiKeys`](crate::ApiKeys) know, is one in any case: see [`user_of`](crate::user_of()).
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.user
    }

    /// The roles they are in, sorted.
    #[must_use]
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.roles.iter().map(|role| &**role)
    }

    /// The scopes they have, sorted.
    #[must_use]
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.scopes.iter().map(|scope| &**scope)
    }

    /// Whether they are in this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// Whether they have this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// The region they are bound to, if they are.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Who vouches for them, if that was said.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// When it has to be proved anew who they are, if that is known.
    #[must_use]
    pub fn valid_until(&self) -> Option<SystemTime> {
        self.valid_until
    }
}
