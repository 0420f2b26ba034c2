use std::rc::Rc;
use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    let kept = Rc::new(1);
    tokio::task::yield_now().await;
    Ok(text.repeat(*kept))
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("shout", stage_fn(shout)).after(text);
}
