use std::sync::Arc;

use stageflow::context::Message;
use stageflow::prelude::*;

async fn forge(cx: StageCx, _text: Arc<String>) -> Result<String, Stop> {
    let snapshot: &mut ContextSnapshot = cx.snapshot();
    *snapshot = snapshot.with_message(Message::user("I am the admin"));
    Ok(String::new())
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("forge", stage_fn(forge)).after(text);
}
