#![deny(unused_must_use)]

use stageflow::prelude::*;

fn start(engine: &Engine, pipeline: &Pipeline<String, String>) {
    engine.run(pipeline, "hello".to_owned(), RunOptions::new());
}

fn main() {
    let _ = start;
}
