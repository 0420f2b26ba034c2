use std::sync::Arc;

use stageflow::prelude::*;

async fn forge(cx: StageCx, _text: Arc<String>) -> Result<String, Stop> {
    cx.snapshot().payload = None;
    Ok(String::new())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("forge", stage_fn(forge)).after(text);
}
