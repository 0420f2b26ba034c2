use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder("shout");
    let numbers = p.input::<Vec<Arc<u64>>>();
    p.stage("shout", map(stage_fn(shout))).after(numbers);
}
