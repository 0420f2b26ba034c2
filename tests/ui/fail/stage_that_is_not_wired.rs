#![deny(unused_must_use)]

use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn main() {
    let mut p = Pipeline::builder::<String>("greet");
    p.stage("shout", stage_fn(shout)).timeout(2.secs());
}
