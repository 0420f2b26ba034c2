//! Whose data and how much: tenants, quotas, fairness.
//!
//! ```text
//!   run ──▶ TenantAdmission ── org? known? spent? too fast? ──▶ room? ──▶ inside ──▶ given back when it is over
//!                                                                │ no        ▲
//!                                                                ▼           │ turns in proportion to weights
//!                                                       one queue a tenant ──┘ (deficit round robin)
//!   stage ──▶ TenantStages ──▶ so many of a tenant at a time        event ──▶ MeteredSink ──▶ your sink
//! ```
//!
//! ```
//! use std::num::NonZeroUsize;
//! use stageflow_context::{OrgId, RunId, RunIdentity, SystemIds};
//! use stageflow_interceptors::{Admission, Arrival};
//! use stageflow_tenancy::{Quota, Tenants, Tier};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ids = SystemIds::new();
//! let acme = OrgId::generate(&ids);
//! let free = Tier::new("free").quota(Quota::new().runs(NonZeroUsize::MIN).no_queue());
//! let tenants = Tenants::builder().tier(free).tenant(acme, "free").build()?;
//!
//! // What an engine does for each run.
//! let admission = tenants.admission();
//! let arrival = || Arrival::new("answer", RunIdentity::new(RunId::generate(&ids)).with_org_id(acme));
//! let pass = admission.admit(&mut arrival()).await?;
//! assert_eq!(tenants.usage(acme).unwrap_or_default().runs.running, 1);
//! let refusal = admission.admit(&mut arrival()).await.unwrap_err();
//! assert_eq!(refusal.code(), "SF0657");
//! drop(pass); // the run is over
//! assert!(admission.admit(&mut arrival()).await.is_ok());
//! # Ok(()) }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | say who the tenants are | [`Tenants::builder`], [`Tier`], [`Unknown`] |
//! | say how much each may have | [`Quota`] |
//! | let runs in, one tenant beside the other | [`Tenants::admission`] |
//! | limit a tenant's stages | [`Tenants::stages`] |
//! | count and limit a tenant's events | [`Tenants::meter`] |
//! | know what was used | [`Tenants::usage`], [`Tenants::usages`], [`Tenants::strangers`] |
//! | reach what is kept of a tenant | [`TenantScope`] |
//! | know in a stage which tier and region it is | `cx.attached::<`[`Tenant`]`>()` |
//!
//! # Invariants
//!
//! * A run for no org is denied. What belongs to nobody is nobody's.
//! * No tenant has more runs at a time than its quota, and all together no more than the registry lets in.
//! * Between two tenants that could both have every turn, the turns had, each divided by its weight, differ by one round at most.
//! * What waits holds nothing; what goes while it waits leaves no hole; a place that is free wakes one.
//! * Every run that has asked is in the books once: [`TenantUsage::asked`]. Of events, offered = accepted + dropped.
//! * What a tenant has used is not forgotten before its quota has it back.
//! * There is no [`TenantScope`] without a run or the registry.
//!
//! # Errors
//!
//! [`TenantError`] (`SF0651` to `SF0655`, `SF0659`) says what a tenant may not do, [`QuotaError`] (`SF0656` to `SF0658`) what it has used
//! up; both are causes of refusals. [`TenantsError`] (`SF0660` to `SF0662`) says why a registry cannot be as it was asked for.
//!
//! # Feature flags
//!
//! None.
//!
//! # Where it sits
//!
//! Above `stageflow-context`, `stageflow-events` and `stageflow-interceptors`, beside `stageflow-auth`, which it does not know. An engine
//! sees it as an admission, a layer and a sink.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

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
pub use quota::{Quota, WhenSpent};
pub use quota_error::{QuotaDimension, QuotaError};
pub use registry::{Tenants, TenantsBuilder, Unknown};
pub use scope::TenantScope;
pub use stages::TenantStages;
pub use tenant::{Tenant, TenantStanding};
pub use tenant_error::{TenantError, TenantErrorKind};
pub use tenants_error::{TenantsError, TenantsErrorKind};
pub use tier::Tier;
pub use usage::{EventUsage, RunUsage, StageUsage, Strangers, TenantUsage};
