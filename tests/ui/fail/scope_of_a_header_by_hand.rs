//! A header that no engine has written, to get at what is kept of an org.

use std::time::SystemTime;

use stageflow::context::{OrgId, RunId, SystemIds};
use stageflow::events::RunHeader;
use stageflow::prelude::*;
use stageflow::tenancy::{TenantError, TenantScope};

fn scope_of(org: OrgId) -> Result<TenantScope, TenantError> {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new())).with_org_id(org);
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::new(context, "p".into(), [].into(), SystemTime::UNIX_EPOCH);
    TenantScope::of_header(&header)
}

fn main() {}
