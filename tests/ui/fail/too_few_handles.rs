use std::sync::Arc;

use stageflow::prelude::*;

async fn join(
    _cx: StageCx,
    (a, b, c): (Arc<String>, Arc<String>, Arc<String>),
) -> Result<String, Stop> {
    Ok(format!("{a} {b} {c}"))
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("join", stage_fn(join)).after((text, text));
}
