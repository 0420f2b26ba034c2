//! A route only decides: there is nothing to undo.

use std::sync::Arc;
use stageflow::prelude::*;

#[derive(Route)]
enum Way {
    Left,
    Right,
}

async fn choose(_cx: StageCx, n: Arc<u64>) -> Result<Way, Stop> {
    Ok(if *n > 3 { Way::Left } else { Way::Right })
}

async fn back(_cx: UndoCx, _way: Given<Way>) -> Result<(), Stop> {
    Ok(())
}

fn main() {
    let mut p = Pipeline::builder("ways");
    let n = p.input::<u64>();
    p.route("choose", stage_fn(choose)).undo(back).after(n);
}
