use std::sync::Arc;

use stageflow::prelude::*;

async fn count(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
    Ok(text.len())
}

async fn answer(engine: &Engine, pipeline: &Pipeline<String, usize>) -> String {
    let report = engine
        .run(pipeline, "hello".to_owned(), RunOptions::new())
        .await;
    let text: &String = report.output().unwrap();
    text.clone()
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    let count = p.stage("count", stage_fn(count)).after(text);
    let pipeline: Pipeline<String, String> = p.output(count).build().unwrap();
    println!("{pipeline:?}");
    let _ = answer;
}
