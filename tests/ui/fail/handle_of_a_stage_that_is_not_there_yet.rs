use std::sync::Arc;

use stageflow::prelude::*;

async fn step(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder::<String>("circle");
    let a = p.stage("a", stage_fn(step)).after(b);
    let b = p.stage("b", stage_fn(step)).after(a);
}
