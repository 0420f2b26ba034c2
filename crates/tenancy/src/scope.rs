//! Whose data it is.

use std::fmt;
use std::sync::Arc;

use serde_json::json;
use stageflow_context::{
    Attached, AuditArea, AuditNotice, OrgId, RunHost, RunIdentity, StageCx, UserId,
};
use stageflow_events::RunHeader;
use tracing::Span;

use crate::{Tenant, TenantError};

/// A tenant whose turn it is: the only way to what a store keeps. There is no way to make one of an [`OrgId`]: it comes from
/// a run, whose envelope the engine has written, or from [`Tenants::enter`](crate::Tenants::enter), which asks the registry.
///
/// # How far this wall goes
///
/// No id that comes with data becomes a scope. Outside of an engine nobody can write the envelope of a run
/// ([`RunHeader`]) or host one ([`RunHost`]), nor write another org over one that there is: it does not compile. What tests need
/// for that is behind the feature `testing` of `stageflow-context` and `stageflow-events`, which the testkit turns on; in a program
/// that has it outside of `[dev-dependencies]` the wall is down.
///
/// Whoever has an engine can start a run for any org that its admissions let in, and whoever has a registry can enter any org
/// that it knows: these two say who the tenants are, so keep them where requests are taken, and out of stages. And it is a wall of
/// the compiler, against mistakes: Rust shows things to all crates or to none, so code that goes out of its way to name
/// `stageflow_context::engine_only` gets past it, as `unsafe` code would. Row-level security in the database is the second wall.
///
/// ```compile_fail,E0451
/// # use stageflow_context::OrgId;
/// # use stageflow_tenancy::TenantScope;
/// fn of_anybody(org: OrgId) -> TenantScope {
///     TenantScope { org, user: None, region: None, within: None }
/// }
/// ```
#[derive(Clone)]
pub struct TenantScope {
    org: OrgId,
    user: Option<UserId>,
    region: Option<Arc<str>>,
    /// The stage it comes from: where attempts to reach for somebody else's are told.
    within: Option<StageCx>,
}

impl TenantScope {
    /// The tenant that the run of this stage is for.
    ///
    /// # Errors
    ///
    /// [`TenantError`] if the run is for nobody: that is no tenant of its own.
    pub fn of(cx: &StageCx) -> Result<Self, TenantError> {
        let scope = Self::of_host(&**cx.host())?;
        Ok(Self {
            within: Some(cx.clone()),
            ..scope
        })
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
        let scope = Self::of_identity(host.identity())?;
        let tenant = host.attached().and_then(Attached::get::<Tenant>);
        let tenant = tenant.filter(|tenant| tenant.org == scope.org);
        let region = tenant.and_then(|tenant| tenant.region.clone());
        Ok(Self { region, ..scope })
    }

    fn of_identity(identity: &RunIdentity) -> Result<Self, TenantError> {
        let user = identity.user_id();
        let org = identity.org_id();
        org.map(|org| Self::known(org, user, None))
            .ok_or_else(TenantError::nobody)
    }

    /// A tenant that the registry knows.
    pub(crate) fn known(org: OrgId, user: Option<UserId>, region: Option<Arc<str>>) -> Self {
        Self {
            org,
            user,
            region,
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

    /// Where its data has to stay, if the registry says so: of a run that [`Tenants::admission`](crate::Tenants::admission) has let in,
    /// and of a scope from [`Tenants::enter`](crate::Tenants::enter).
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// A `tracing` span that says whose work it is: for log lines that are made outside of a stage, such as in a job that goes
    /// through a tenant's data. Its name is `tenant`, its target `stageflow`, its level info; its fields are named as in event
    /// records, `org_id` and `user_id`. Inside a stage the lines have the org already: see
    /// [`StageCx::log_span`](stageflow_context::StageCx::log_span).
    #[must_use]
    pub fn span(&self) -> Span {
        tracing::info_span!(
            target: "stageflow",
            "tenant",
            org_id = %self.org,
            user_id = self.user.map(tracing::field::display),
        )
    }

    /// Whether this tenant may touch what is `owner`'s. What has no owner is nobody's, and not everybody's.
    ///
    /// An attempt to reach for somebody else's is an event, `tenant.access_denied`, if the scope comes from a stage.
    ///
    /// # Errors
    ///
    /// [`TenantError`] of the kind [`CrossTenant`](crate::TenantErrorKind::CrossTenant) if it is somebody else's, and
    /// [`Unowned`](crate::TenantErrorKind::Unowned) if it is nobody's.
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
        if let Some(cx) = &self.within {
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
