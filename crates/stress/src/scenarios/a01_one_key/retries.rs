//! A stage that is tried again and again, and writes down each time; beside it one that always writes the same key.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::context::StageErrorKind;
use stageflow::executor::RunReport;
use stageflow::prelude::*;

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime};

/// Calls again as long as the stage asks for it, or fails in a way that may pass.
struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        loop {
            match next.run(call).await {
                Ending::Failed(error) if error.class() == ErrorClass::Transient => {}
                ending => return ending,
            }
        }
    }
}

/// What a call of a stage knew about itself.
type Calls = Arc<AtomicU64>;

fn pipeline(lab: &Lab, tries: u64) -> Result<Pipeline<Calls, u64>, LabError> {
    let mut p = Pipeline::builder("retries");
    let calls = p.input::<Calls>();
    let witness = lab.witness();
    let stage = stage_fn(move |cx: StageCx, calls: Arc<Calls>| {
        let witness = witness.clone();
        async move {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let said = if witness.is_broken("attempt-twice") && call == 32 {
                call - 1
            } else {
                u64::from(cx.attempt().get())
            };
            cx.record(&format!("call-{call:03}"), said)?;
            // The same key each time: the first attempt keeps it.
            let again = cx.record("same", call);
            let honest = match &again {
                Ok(()) => call == 1,
                Err(conflict) => {
                    conflict.first_attempt() == Some(NonZeroU32::MIN)
                        && conflict.attempt() == cx.attempt()
                        && conflict.first_writer() == Some("tried")
                }
            };
            witness.check(
                honest,
                "a retry does not overwrite what it wrote first",
                Breach::Lost,
                || format!("call {call}: {again:?}"),
            );
            if call < tries {
                Err(Stop::transient("not yet"))
            } else {
                Ok(call)
            }
        }
    });
    let stage = p.stage("tried", stage).after(calls);
    p.output(stage).build().map_err(LabError::new)
}

pub(super) fn numbered(lab: &mut Lab) -> Result<(), LabError> {
    let rounds = lab.scaled(60);
    let mut attempts = 0;
    for tries in [1, 2, 7, 32] {
        if lab.is_over() {
            break;
        }
        let (engine, pipeline) = (lab.engine().intercept(Again).build(), pipeline(lab, tries)?);
        let witness = lab.witness();
        lab.on(Runtime::Ct, async {
            for _ in 0..rounds {
                let calls = Calls::default();
                let report = engine
                    .run(&pipeline, Arc::clone(&calls), RunOptions::new())
                    .await;
                check(&witness, &report, tries, calls.load(Ordering::SeqCst));
                attempts += tries;
            }
        })?;
        lab.count_trials(rounds);
    }
    lab.metric("attempts", "count", attempts as f64);
    Ok(())
}

fn check(witness: &Witness, report: &RunReport<u64>, tries: u64, calls: u64) {
    let told = report
        .stage("tried")
        .map(|stage| u64::from(stage.attempts()));
    witness.check(
        calls == tries
            && told == Some(tries)
            && report.output().is_ok_and(|output| *output == tries),
        "a stage is tried as often as it asks to be",
        Breach::WrongStatus,
        || {
            format!(
                "{calls} calls and {told:?} attempts of {tries}; {:?}",
                report.output()
            )
        },
    );
    let found: BTreeMap<String, (u64, u64)> = report
        .recorded()
        .into_iter()
        .flat_map(|view| view.iter())
        .filter_map(|entry| {
            let said = entry.get::<u64>().ok()?;
            Some((
                entry.key().to_owned(),
                (*said, u64::from(entry.attempt().get())),
            ))
        })
        .collect();
    let calls = (1..=tries).map(|call| (format!("call-{call:03}"), (call, call)));
    let expected: BTreeMap<_, _> = calls.chain([("same".to_owned(), (1, 1))]).collect();
    witness.check(
        found == expected,
        "attempts are numbered 1 to n, without a gap",
        Breach::WrongStatus,
        || format!("{found:?}, expected {expected:?}"),
    );
}

/// Without a layer that calls again, asking for another attempt is a failure that says so.
pub(super) fn refused(lab: &mut Lab) -> Result<(), LabError> {
    let mut p = Pipeline::builder("refused");
    let start = p.input::<()>();
    let stage = stage_fn(async |cx: StageCx, _: Arc<()>| {
        cx.record("same", 1_u64)?;
        Err::<u64, _>(Stop::retry("busy"))
    });
    let stage = p.stage("tried", stage).after(start);
    let pipeline = p.output(stage).build().map_err(LabError::new)?;
    let (engine, witness) = (lab.engine().build(), lab.witness());
    lab.on(Runtime::Ct, async {
        for _ in 0..50 {
            let report = engine.run(&pipeline, (), RunOptions::new()).await;
            let kind = report.error().map(|error| error.kind());
            let kept = report.recorded().is_some_and(|view| {
                view.get::<u64>("same")
                    .is_ok_and(|value| value.as_deref() == Some(&1))
            });
            witness.check(
                report.outcome() == Outcome::Failed
                    && matches!(kind, Some(StageErrorKind::RetryRefused))
                    && kept,
                "a retry that nobody grants is a failure",
                Breach::WrongStatus,
                || format!("{}: {kind:?}", report.outcome()),
            );
        }
    })?;
    lab.count_trials(50);
    Ok(())
}
