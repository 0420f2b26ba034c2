//! A value is either absent or another one.

use std::sync::Arc;
use stageflow::prelude::*;

async fn len(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
    Ok(text.len())
}

fn main() {
    let mut p = Pipeline::builder("len");
    let text = p.input::<String>();
    p.stage("len", stage_fn(len)).optional().or_value(|| 0).after(text);
}
