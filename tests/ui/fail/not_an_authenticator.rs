use stageflow::auth::Authenticate;
use stageflow::context::{Credentials, OrgId};

fn check(_credentials: &Credentials) -> Option<OrgId> {
    None
}

fn main() {
    let _door = Authenticate::with(check);
}
