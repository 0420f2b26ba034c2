use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("shout", stage_fn(shout))
        .after(text)
        .timeout(2.secs());
}
