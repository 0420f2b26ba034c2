use std::sync::Arc;

use stageflow::prelude::*;

fn build(mark: &str) {
    let mut p = Pipeline::builder("greet");
    let text = p.input::<String>();
    p.stage(
        "shout",
        stage_fn(async |_cx, text: Arc<String>| Ok(format!("{text}{mark}"))),
    )
    .after(text);
}

fn main() {
    build("!");
}
