use stageflow::prelude::*;

struct Retries(u32);

fn main() {
    let engine = Engine::builder().intercept(Retries(3)).build();
    println!("{}", engine.describe());
}
