//! Whose data and how much: tenants, quotas, fairness.

mod scope;

pub use scope::{TenantError, TenantErrorKind, TenantScope};
