//! An arm of the route is left out.

use std::sync::Arc;
use stageflow::prelude::*;

#[derive(Route)]
enum Topic {
    Billing(u64),
    Other,
}

async fn triage(_cx: StageCx, _text: Arc<String>) -> Result<Topic, Stop> {
    Ok(Topic::Other)
}

fn main() {
    let mut p = Pipeline::builder("support");
    let ask = p.input::<String>();
    let TopicArms { billing } = p.route("triage", stage_fn(triage)).after(ask);
}
