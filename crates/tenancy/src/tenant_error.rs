//! A tenant may not do something, or there is no tenant.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use stageflow_context::OrgId;

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
    /// The run spends from a budget that is no part of its tenant's.
    ForeignBudget,
    /// The run is for nobody.
    Nobody,
    /// The tenant may do nothing at present.
    Suspended,
    /// The registry does not know it.
    Unknown,
    /// What it reaches for has no owner.
    Unowned,
}

impl TenantErrorKind {
    /// In lower case, as events have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossTenant => "cross_tenant",
            Self::ForeignBudget => "foreign_budget",
            Self::Nobody => "nobody",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
            Self::Unowned => "unowned",
        }
    }
}

impl TenantError {
    pub(crate) fn nobody() -> Self {
        Self::new(TenantErrorKind::Nobody, None, None, "")
    }

    pub(crate) fn denied(org: OrgId, owner: Option<OrgId>, operation: &str) -> Self {
        let kind = match owner {
            Some(_) => TenantErrorKind::CrossTenant,
            None => TenantErrorKind::Unowned,
        };
        Self::new(kind, Some(org), owner, operation)
    }

    /// What `org` may not do.
    pub(crate) fn of(kind: TenantErrorKind, org: OrgId) -> Self {
        Self::new(kind, Some(org), None, "")
    }

    fn new(
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
            TenantErrorKind::ForeignBudget => "SF0659",
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
                "{org} may not {operation} this: it belongs to {owner}; look for an id that came with the input instead of from the run"
            ),
            TenantErrorKind::ForeignBudget => write!(
                f,
                "the run of {org} spends from a budget that is no part of its tenant's; make it with `tenants.budget(org)` and `Budget::child`, or start the run without one"
            ),
            TenantErrorKind::Nobody => f.write_str(
                "the run is for no org, and nothing is kept for nobody; start it with `RunOptions::org`, or let an admission say whose it is",
            ),
            TenantErrorKind::Suspended => write!(f, "{org} may start nothing: it is suspended; ask whoever runs the registry"),
            TenantErrorKind::Unknown => write!(
                f,
                "{org} is not in the registry; add it, or let unknown orgs in with a tier of their own"
            ),
            TenantErrorKind::Unowned => write!(
                f,
                "{org} may not {operation} this: it belongs to nobody; write down whose it is when it is made"
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
