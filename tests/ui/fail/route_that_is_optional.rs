//! A run cannot do without knowing where it goes.

use std::sync::Arc;
use stageflow::prelude::*;

#[derive(Route)]
enum Topic {
    Other,
}

async fn triage(_cx: StageCx, _text: Arc<String>) -> Result<Topic, Stop> {
    Ok(Topic::Other)
}

fn main() {
    let mut p = Pipeline::builder("support");
    let ask = p.input::<String>();
    p.route("triage", stage_fn(triage)).optional().after(ask);
}
