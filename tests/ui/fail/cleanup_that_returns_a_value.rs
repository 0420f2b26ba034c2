use std::sync::Arc;

use stageflow::prelude::*;

async fn load(cx: StageCx, path: Arc<String>) -> Result<String, Stop> {
    cx.on_cleanup("count the bytes", async || 5_usize);
    Ok(path.to_string())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let path = p.input::<String>();
    p.stage("load", stage_fn(load)).after(path);
}
