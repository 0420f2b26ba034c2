use stageflow::auth::Authenticate;
use stageflow::prelude::*;

fn main() {
    let _engine = Engine::builder().admit(Authenticate::default());
}
