use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::by_name("greet");
    p.stage("shout", stage_fn(shout)).after(["text"]);
}
