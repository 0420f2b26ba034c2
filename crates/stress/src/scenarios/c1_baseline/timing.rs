//! How long ten stages take, run by run.

use std::sync::Arc;

use stageflow::prelude::*;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::chain::STAGES;
use crate::stats::quantile;
use crate::{Breach, Lab, LabError, Op, Runtime};

/// Each run is measured with its id and its result, inside a task: on the thread that blocks on a runtime, waking costs more.
pub(super) fn measure(lab: &mut Lab) -> Result<(), LabError> {
    let mut p = Pipeline::builder("chain");
    let mut last = p.input::<u64>();
    for place in 0..STAGES {
        let stage = stage_fn(async |_cx: StageCx, value: Arc<u64>| Ok::<_, Stop>(*value + 1));
        last = p.stage(format!("s{place}"), stage).after(last);
    }
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    let engine = lab.engine().build();
    let runs = lab.scaled(5000);
    let measured = lab.on(Runtime::Ct, async move {
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (mut samples, mut wrong) = (Vec::with_capacity(runs as usize), 0_u64);
            for run in 0..runs + 20 {
                let started = Instant::now();
                let report = engine.run(&pipeline, run, RunOptions::new()).await;
                let right = report.output().is_ok_and(|output| *output == run + 10);
                let took = started.elapsed();
                wrong += u64::from(!right);
                if run >= 20 {
                    samples.push(took.as_secs_f64() * 1e6);
                }
            }
            (samples, wrong)
        });
        task.join_next().await
    })?;
    let Some(Ok((samples, wrong))) = measured else {
        return Err(LabError::new("the task that measures was lost"));
    };
    lab.count_trials(runs);
    lab.check(
        wrong == 0,
        "the output is the golden one",
        Breach::WrongStatus,
        || format!("{wrong} of {runs} runs gave something else"),
    );
    lab.metric("run_us_p95", "us", quantile(&samples, 0.95));
    lab.metric("run_us_p99", "us", quantile(&samples, 0.99));
    lab.samples(
        "per_stage_us",
        "us",
        samples.iter().map(|us| us / STAGES as f64),
    );
    lab.samples("run_us", "us", samples);
    // 7 ms before; a three hundred and fiftieth of it.
    lab.gate("run_us", Op::AtMost, 20.0);
    Ok(())
}
