//! An undo takes what its stage gives.

use std::sync::Arc;
use stageflow::prelude::*;

async fn pay(_cx: StageCx, cents: Arc<u64>) -> Result<String, Stop> {
    Ok(cents.to_string())
}

async fn refund(_cx: UndoCx, _cents: Given<u64>) -> Result<(), Stop> {
    Ok(())
}

fn main() {
    let mut p = Pipeline::builder("shop");
    let cents = p.input::<u64>();
    p.stage("pay", stage_fn(pay)).undo(refund).after(cents);
}
