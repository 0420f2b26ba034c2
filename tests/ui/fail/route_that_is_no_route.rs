//! The stage of a route gives something that does not say where to go.

use std::sync::Arc;
use stageflow::prelude::*;

async fn triage(_cx: StageCx, _text: Arc<String>) -> Result<String, Stop> {
    Ok("billing".to_owned())
}

fn main() {
    let mut p = Pipeline::builder("support");
    let ask = p.input::<String>();
    p.route("triage", stage_fn(triage)).after(ask);
}
