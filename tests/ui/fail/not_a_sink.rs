use stageflow::prelude::*;

fn main() {
    let engine = Engine::builder()
        .events(|event: &str| println!("{event}"))
        .build();
    println!("{}", engine.describe());
}
