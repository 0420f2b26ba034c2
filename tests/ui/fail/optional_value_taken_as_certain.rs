use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    let maybe = p.stage("maybe", stage_fn(shout)).optional().after(text);
    p.stage("shout", stage_fn(shout)).after(maybe);
}
