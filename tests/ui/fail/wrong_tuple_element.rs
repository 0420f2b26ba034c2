use std::sync::Arc;

use stageflow::prelude::*;

async fn count(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
    Ok(text.len())
}

async fn join(_cx: StageCx, (text, count): (Arc<String>, Arc<String>)) -> Result<String, Stop> {
    Ok(format!("{text} {count}"))
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    let count = p.stage("count", stage_fn(count)).after(text);
    p.stage("join", stage_fn(join)).after((text, count));
}
