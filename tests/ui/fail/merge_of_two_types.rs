//! A merge gives one type.

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
    let len = p.stage("len", stage_fn(len)).after(text);
    let shout = p.stage("shout", stage_fn(shout)).after(text);
    p.merge("first", [len, shout]);
}
