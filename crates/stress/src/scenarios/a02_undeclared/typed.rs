//! Typed stages: a value that never came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime};

/// How a stage comes to give nothing.
#[derive(Clone, Copy, Debug)]
enum Lack {
    Skip,
    Fail,
    Panic,
}

/// Two stages behind one that gives nothing: one requires its value, one can do without.
pub(super) fn values(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(100);
    for lack in [Lack::Skip, Lack::Fail, Lack::Panic] {
        for optional in [false, true] {
            if lab.is_over() {
                return Ok(());
            }
            let (calls, witness) = (Arc::new(AtomicU64::new(0)), lab.witness());
            let pipeline = if optional {
                can_do_without(lack, &calls)
            } else {
                requires(lack, &calls)
            }?;
            let engine = lab.engine().build();
            lab.on(Runtime::Ct, async {
                for _ in 0..count {
                    calls.store(0, Ordering::SeqCst);
                    let report = engine.run(&pipeline, 1, RunOptions::new()).await;
                    check(
                        &witness,
                        &report,
                        lack,
                        optional,
                        calls.load(Ordering::SeqCst),
                    );
                }
            })?;
            lab.count_trials(count);
        }
    }
    Ok(())
}

fn nothing(lack: Lack) -> stageflow_testkit::Scripted<Arc<u64>, u64> {
    match lack {
        Lack::Skip => script::skip("nothing to do"),
        Lack::Fail => script::fail("broken"),
        Lack::Panic => script::panic("broken"),
    }
}

fn requires(lack: Lack, calls: &Arc<AtomicU64>) -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("requires");
    let start = p.input::<u64>();
    let gap = p.stage("gap", nothing(lack)).after(start);
    let calls = Arc::clone(calls);
    let reader = stage_fn(move |_cx: StageCx, value: Arc<u64>| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Stop>(*value) }
    });
    let reader = p.stage("reader", reader).after(gap);
    p.output(reader).build().map_err(LabError::new)
}

fn can_do_without(lack: Lack, calls: &Arc<AtomicU64>) -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("can-do-without");
    let start = p.input::<u64>();
    let gap = p.stage("gap", nothing(lack)).optional().after(start);
    let calls = Arc::clone(calls);
    let reader = stage_fn(move |_cx: StageCx, value: Arc<Option<u64>>| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Stop>(value.unwrap_or(77)) }
    });
    let reader = p.stage("reader", reader).after(gap);
    p.output(reader).build().map_err(LabError::new)
}

fn check(witness: &Witness, report: &RunReport<u64>, lack: Lack, optional: bool, calls: u64) {
    let (output, outcome) = (report.output().ok().copied(), report.outcome());
    let reader = report
        .stage("reader")
        .map(|stage| (stage.outcome(), stage.started()));
    if optional {
        witness.check(
            output == Some(77) && calls == 1,
            "who can do without a value is told that there is none",
            Breach::WrongStatus,
            || format!("{lack:?}: {outcome}, {output:?}, {calls} calls"),
        );
        return;
    }
    let expected = match lack {
        Lack::Skip => Outcome::Skipped,
        Lack::Fail | Lack::Panic => Outcome::Failed,
    };
    let not_started =
        reader.is_some_and(|(outcome, started)| outcome != Outcome::Succeeded && started.is_none());
    witness.check(
        calls == 0 && not_started && outcome == expected && output.is_none(),
        "who requires a value that never came is not started",
        Breach::WrongStatus,
        || format!("{lack:?}: {outcome}, {output:?}, {calls} calls, the reader {reader:?}"),
    );
}
