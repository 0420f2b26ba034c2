//! An import that is cancelled half-way: what was done is kept, what was borrowed is given back, in the right order.
//!
//! ```text
//! cargo run --example cancel_and_clean_up
//! ```

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::prelude::*;
use tokio::time::sleep;

/// What happened, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn say(log: &Log, what: impl Into<String>) {
    if let Ok(mut log) = log.lock() {
        log.push(what.into());
    }
}

async fn connect(cx: StageCx, log: Arc<Log>) -> Result<Log, Stop> {
    say(&log, "connected");
    let later = Arc::clone(&log);
    cx.on_cleanup("disconnect", async move || say(&later, "disconnected"));
    Ok(Arc::clone(&log))
}

/// Hears that it has to stop, and uses its grace to end with a whole batch.
async fn copy(cx: StageCx, log: Arc<Log>) -> Result<u32, Stop> {
    let later = Arc::clone(&log);
    cx.on_cleanup("unlock the table", async move || {
        sleep(20.millis()).await;
        say(&later, "unlocked the table");
    });
    let mut batches = 0;
    while !cx.is_cancelled() {
        sleep(100.millis()).await; // a batch
        batches += 1;
    }
    say(&log, format!("stopped after batch {batches}"));
    Ok(batches)
}

async fn index(_cx: StageCx, batches: Arc<u32>) -> Result<String, Stop> {
    Ok(format!("{batches} batches are in the index"))
}

async fn run() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut p = Pipeline::builder("import");
    let log = p.input::<Log>();
    let connection = p.stage("connect", stage_fn(connect)).after(log);
    let copied = p
        .stage("copy", stage_fn(copy))
        .grace(1.secs())
        .after(connection);
    let indexed = p.stage("index", stage_fn(index)).after(copied);
    let pipeline = p.output(indexed).build()?;

    let (engine, log) = (Engine::new(), Log::default());
    let run = engine.run(&pipeline, Arc::clone(&log), RunOptions::new());
    let handle = run.handle();
    let (report, _) = tokio::join!(run, async {
        sleep(Duration::from_millis(250)).await;
        handle.cancel("the user pressed stop")
    });

    if let Some(reason) = report.cancel_reason() {
        say(&log, reason.to_string());
    }
    for stage in report.stages() {
        say(&log, format!("{} {}", stage.name(), stage.outcome()));
    }
    for cleanup in report.cleanups() {
        say(
            &log,
            format!("cleanup `{}` {}", cleanup.name, cleanup.outcome),
        );
    }
    say(&log, engine.shutdown(1.secs()).await.to_string());
    Ok(log.lock().map(|log| log.clone()).unwrap_or_default())
}

#[expect(clippy::print_stdout, reason = "a program prints what it has to say")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", run().await?.join("\n"));
    Ok(())
}

#[cfg(test)]
#[tokio::test(start_paused = true)]
async fn it_says_this() {
    let expected = [
        "connected",
        "stopped after batch 3",
        "unlocked the table",
        "disconnected",
        "cancelled: the user pressed stop",
        "connect succeeded",
        "copy succeeded",
        "index cancelled",
        "cleanup `unlock the table` succeeded",
        "cleanup `disconnect` succeeded",
        "told 0 to stop; everything has ended",
    ];
    assert_eq!(run().await.unwrap(), expected);
}
