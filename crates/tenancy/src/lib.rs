//! Whose data and how much: tenants, quotas, fairness.

mod admission;
mod fair;
mod meter;
mod quota;
mod quota_error;
mod rate;
mod registry;
mod scope;
mod stages;
mod tenant;
mod tenant_error;
mod tenants_error;
mod tier;
mod usage;
mod window;

pub use admission::TenantAdmission;
pub use meter::MeteredSink;
pub use quota::Quota;
pub use quota_error::{QuotaDimension, QuotaError};
pub use registry::{Tenants, TenantsBuilder, Unknown};
pub use scope::TenantScope;
pub use stages::TenantStages;
pub use tenant::{Tenant, TenantStanding};
pub use tenant_error::{TenantError, TenantErrorKind};
pub use tenants_error::{TenantsError, TenantsErrorKind};
pub use tier::Tier;
pub use usage::{EventUsage, RunUsage, StageUsage, Strangers, Usage};
