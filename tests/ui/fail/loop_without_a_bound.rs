use std::sync::Arc;

use stageflow::prelude::*;

async fn polish(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.trim().to_owned())
}

fn main() {
    let mut p = Pipeline::builder("polish");
    let text = p.input::<String>();
    let polish = repeat(stage_fn(polish)).until(|text: &String| text.len() < 80);
    p.stage("polish", polish).after(text);
}
