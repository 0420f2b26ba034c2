use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, path: Arc<String>) -> Result<String, std::io::Error> {
    std::fs::read_to_string(&*path)
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let path = p.input::<String>();
    p.stage("shout", stage_fn(shout)).after(path);
}
