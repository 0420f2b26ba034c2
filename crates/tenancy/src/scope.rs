//! Whose data it is.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde_json::json;
use stageflow_context::{AuditArea, AuditNotice, OrgId, RunHost, RunIdentity, StageCx, UserId};
use stageflow_events::RunHeader;

/// A tenant whose turn it is: the only way to what a store keeps. There is no way to make one of an [`OrgId`]: it comes from
/// a run, whose envelope the engine has written, or from `Tenants::enter`, which asks the registry.
///
/// ```compile_fail,E0451
/// # use stageflow_context::OrgId;
/// # use stageflow_tenancy::TenantScope;
/// fn of_anybody(org: OrgId) -> TenantScope {
///     TenantScope { org, user: None, within: None }
/// }
/// ```
#[derive(Clone)]
pub struct TenantScope {
    org: OrgId,
    user: Option<UserId>,
    within: Option<Within>,
}

/// The run it comes from: where attempts to reach for somebody else's are told.
#[derive(Clone)]
enum Within {
    Stage(StageCx),
}

impl TenantScope {
    /// The tenant that the run of this stage is for.
    ///
    /// # Errors
    ///
    /// [`TenantError`] if the run is for nobody: that is no tenant of its own.
    pub fn of(cx: &StageCx) -> Result<Self, TenantError> {
        let within = Some(Within::Stage(cx.clone()));
        Self::of_identity(cx.identity()).map(|scope| Self { within, ..scope })
    }

    /// The tenant that the run with this header is for: for sinks.
    ///
    /// # Errors
    ///
    /// [`TenantError`] if the run is for nobody.
    pub fn of_header(header: &RunHeader) -> Result<Self, TenantError> {
        Self::of_identity(header.identity())
    }

    /// The tenant that a run is for: for layers and admissions.
    ///
    /// # Errors
    ///
    /// [`TenantError`] if the run is for nobody.
    pub fn of_host(host: &dyn RunHost) -> Result<Self, TenantError> {
        Self::of_identity(host.identity())
    }

    fn of_identity(identity: &RunIdentity) -> Result<Self, TenantError> {
        let user = identity.user_id();
        let org = identity.org_id();
        org.map(|org| Self::known(org, user))
            .ok_or_else(TenantError::nobody)
    }

    /// A tenant that the registry knows.
    pub(crate) fn known(org: OrgId, user: Option<UserId>) -> Self {
        Self {
            org,
            user,
            within: None,
        }
    }

    /// Which tenant.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The user of the tenant, if it is known.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.user
    }

    /// Whether this tenant may touch what is `owner`'s. What has no owner is nobody's, and not everybody's.
    ///
    /// An attempt to reach for somebody else's is an event, `tenant.access_denied`, if the scope comes from a stage.
    ///
    /// # Errors
    ///
    /// [`TenantError`] of the kind [`CrossTenant`](TenantErrorKind::CrossTenant) if it is somebody else's, and
    /// [`Unowned`](TenantErrorKind::Unowned) if it is nobody's.
    pub fn check(
        &self,
        owner: impl Into<Option<OrgId>>,
        operation: &str,
    ) -> Result<(), TenantError> {
        let owner = owner.into();
        if owner == Some(self.org) {
            return Ok(());
        }
        let error = TenantError::denied(self.org, owner, operation);
        if let Some(Within::Stage(cx)) = &self.within {
            let payload = json!({
                "org": self.org,
                "owner": owner,
                "operation": operation,
                "code": error.code(),
            });
            cx.audit(AuditNotice::new(
                AuditArea::Tenant,
                "access_denied",
                payload,
            ));
        }
        Err(error)
    }
}

impl fmt::Debug for TenantScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantScope")
            .field("org", &self.org)
            .field("user", &self.user)
            .finish()
    }
}

/// A tenant may not do something, or there is no tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantError(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    kind: TenantErrorKind,
    org: Option<OrgId>,
    owner: Option<OrgId>,
    operation: String,
}

/// Why a tenant may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TenantErrorKind {
    /// What it reaches for is another tenant's.
    CrossTenant,
    /// The run is for nobody.
    Nobody,
    /// The tenant may do nothing at present.
    Suspended,
    /// The registry does not know it.
    Unknown,
    /// What it reaches for has no owner.
    Unowned,
}

impl TenantError {
    fn nobody() -> Self {
        Self::new(TenantErrorKind::Nobody, None, None, "")
    }

    fn denied(org: OrgId, owner: Option<OrgId>, operation: &str) -> Self {
        let kind = match owner {
            Some(_) => TenantErrorKind::CrossTenant,
            None => TenantErrorKind::Unowned,
        };
        Self::new(kind, Some(org), owner, operation)
    }

    pub(crate) fn new(
        kind: TenantErrorKind,
        org: Option<OrgId>,
        owner: Option<OrgId>,
        operation: &str,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            org,
            owner,
            operation: operation.to_owned(),
        }))
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> TenantErrorKind {
        self.0.kind
    }

    /// The tenant, if there is one.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.0.org
    }

    /// Whose it is that was reached for.
    #[must_use]
    pub fn owner(&self) -> Option<OrgId> {
        self.0.owner
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            TenantErrorKind::CrossTenant => "SF0651",
            TenantErrorKind::Nobody => "SF0652",
            TenantErrorKind::Suspended => "SF0653",
            TenantErrorKind::Unknown => "SF0654",
            TenantErrorKind::Unowned => "SF0655",
        }
    }
}

impl fmt::Display for TenantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = &self.0.operation;
        let org = self.0.org.map(|org| org.to_string()).unwrap_or_default();
        let owner = self.0.owner.map(|org| org.to_string()).unwrap_or_default();
        write!(f, "{}: ", self.code())?;
        match self.0.kind {
            TenantErrorKind::CrossTenant => write!(
                f,
                "{org} may not {operation} what belongs to {owner}; look for an id that came with the input instead of from the run"
            ),
            TenantErrorKind::Nobody => f.write_str(
                "the run is for no org, and nothing is kept for nobody; start it with `RunOptions::org`, or let an admission say whose it is",
            ),
            TenantErrorKind::Suspended => write!(f, "{org} is suspended; ask whoever runs the registry"),
            TenantErrorKind::Unknown => write!(
                f,
                "{org} is not in the registry; add it, or let unknown orgs in with a tier of their own"
            ),
            TenantErrorKind::Unowned => write!(
                f,
                "{org} may not {operation} what belongs to nobody; write down whose it is when it is made"
            ),
        }
    }
}

impl fmt::Debug for TenantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantError")
            .field("kind", &self.0.kind)
            .field("org", &self.0.org)
            .field("owner", &self.0.owner)
            .finish_non_exhaustive()
    }
}

impl Error for TenantError {}
