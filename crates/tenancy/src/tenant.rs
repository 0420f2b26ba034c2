//! A tenant as the registry has it.

use std::sync::Arc;

use stageflow_context::OrgId;

/// A tenant as the registry has it: what a run of it takes along, to be read with `cx.attached::<Tenant>()`.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_tenancy::Tenant;
///
/// async fn model(cx: StageCx, _question: Arc<String>) -> Result<&'static str, Stop> {
///     let tenant = cx.attached::<Tenant>();
///     Ok(match tenant.as_ref().map(|tenant| tenant.tier()) {
///         Some("pro") => "large",
///         _ => "small",
///     })
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub(crate) org: OrgId,
    pub(crate) tier: Arc<str>,
    pub(crate) region: Option<Arc<str>>,
    pub(crate) standing: TenantStanding,
}

/// Whether a tenant may start runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TenantStanding {
    /// It is in the registry.
    Member,
    /// It is not, and is let in with the tier of those that nobody knows.
    Guest,
    /// It is in the registry, and may start nothing.
    Suspended,
}

impl Tenant {
    /// Which.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The name of its tier.
    #[must_use]
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// Where its data has to stay, if that is said.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Whether it may start runs.
    #[must_use]
    pub fn standing(&self) -> TenantStanding {
        self.standing
    }
}
