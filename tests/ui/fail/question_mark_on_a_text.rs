use std::sync::Arc;

use stageflow::prelude::*;

async fn first(_cx: StageCx, words: Arc<Vec<String>>) -> Result<String, Stop> {
    let first = words.first().ok_or("there are no words")?;
    Ok(first.clone())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let words = p.input::<Vec<String>>();
    p.stage("first", stage_fn(first)).after(words);
}
