//! The same failures, with a layer that tries again: how many runs succeed is known beforehand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::prelude::*;

use super::Z_999;
use super::draw::P_FAILURE;
use crate::{Breach, Lab, LabError};

const STAGES: usize = 50;
const ATTEMPTS: u32 = 3;
const LIMIT: Duration = Duration::from_secs(1);

/// Runs of fifty stages in a row. An attempt in ten fails, in one of six ways.
pub(super) fn retried(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(1000);
    let pipeline = pipeline(lab.seed().named("retried").rng())?;
    let attempts = ATTEMPTS + u32::from(lab.is_broken("once-more"));
    let engine = lab
        .engine()
        .intercept(Retry::exponential(attempts))
        .intercept(Timeout::attempt(LIMIT))
        .intercept(CatchPanic::transient())
        .blocking_threshold(Duration::MAX)
        .build();
    let runs = (0..count).map(|run| {
        let seed = lab.seed().child(run).get();
        engine.run(&pipeline, run, RunOptions::new().seed(seed))
    });
    let runs = join_all(runs.collect::<Vec<_>>());
    let reports = lab.paused(runs);
    for report in &reports {
        let most = report.stages().map(|stage| stage.attempts()).max();
        lab.check(
            most <= Some(ATTEMPTS),
            "no stage has more attempts than it may",
            Breach::Duplicated,
            || format!("{most:?} attempts"),
        );
    }
    let succeeded = reports.iter().filter(|report| report.is_success()).count() as f64;
    // All stages of a run succeed, each in one of its attempts.
    let p = (1.0 - P_FAILURE.powi(ATTEMPTS as i32)).powi(STAGES as i32);
    let expected = count as f64 * p;
    let band = Z_999.mul_add((expected * (1.0 - p)).sqrt(), 0.5);
    lab.metric("retried_success_rate", "ratio", succeeded / count as f64);
    lab.metric("retried_success_rate_predicted", "ratio", p);
    lab.check(
        (succeeded - expected).abs() <= band,
        "as many runs with retries succeed as chance lets",
        Breach::WrongStatus,
        || format!("{succeeded} of {count}, {expected:.1} ± {band:.1} were expected"),
    );
    Ok(())
}

fn pipeline(rng: ChaCha8Rng) -> Result<Pipeline<u64, u64>, LabError> {
    let rng = Arc::new(Mutex::new(rng));
    let mut p = Pipeline::builder("retried");
    let mut last = p.input::<u64>();
    for stage in 0..STAGES {
        let rng = Arc::clone(&rng);
        let work = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
            let fails = rng.random_bool(P_FAILURE).then(|| rng.random_range(0..6));
            drop(rng);
            attempt(*n, fails)
        });
        last = p.stage(format!("s{stage}"), work).after(last);
    }
    p.output(last).build().map_err(LabError::new)
}

async fn attempt(n: u64, fails: Option<u32>) -> Result<u64, Stop> {
    match fails {
        None => Ok(n),
        Some(0) => Err(Stop::transient("an error")),
        Some(1) => Err(Stop::retry("another attempt, please")),
        Some(2) => Err(Stop::retry_after(LIMIT, "later, please")),
        Some(3) => std::panic::resume_unwind(Box::new("a panic")),
        Some(4) => std::future::pending().await,
        Some(_) => {
            tokio::time::sleep(LIMIT * 2).await;
            Ok(n)
        }
    }
}
