use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    let loud = p.stage("shout", stage_fn(shout)).after(text);
    let pipeline = p.output(loud).build().unwrap();
    let engine = Engine::new();
    let _run = engine.run(&pipeline, 5_u64, RunOptions::new());
}
