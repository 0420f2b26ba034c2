//! The header of a run of one org, with another org written over it.

use stageflow::context::{OrgId, RunId, SystemIds};
use stageflow::events::RunHeader;
use stageflow::prelude::*;
use stageflow::tenancy::{TenantError, TenantScope};

fn scope_of(org: OrgId, header: &RunHeader) -> Result<TenantScope, TenantError> {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new())).with_org_id(org);
    let header = header.clone().with_context(ContextSnapshot::new(identity));
    TenantScope::of_header(&header)
}

fn main() {}
