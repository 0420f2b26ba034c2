//! What stands in for a stage gives what the stage gives.

use std::sync::Arc;
use stageflow::prelude::*;

async fn len(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
    Ok(text.len())
}

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder("len");
    let text = p.input::<String>();
    p.stage("len", stage_fn(len)).or("shout", stage_fn(shout)).after(text);
}
