use stageflow::prelude::*;

struct Quota;

fn main() {
    let _engine = Engine::builder().admit(Quota);
}
