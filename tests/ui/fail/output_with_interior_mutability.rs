use std::cell::RefCell;
use std::sync::Arc;

use stageflow::prelude::*;

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<RefCell<String>, Stop> {
    Ok(RefCell::new(text.to_uppercase()))
}

fn main() {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage("shout", stage_fn(shout)).after(text);
}
