use stageflow::context::OrgId;
use stageflow::tenancy::TenantScope;

fn anybody(org: OrgId) -> TenantScope {
    TenantScope::from(org)
}

fn main() {
    let _ = anybody;
}
