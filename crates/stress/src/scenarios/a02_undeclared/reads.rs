//! Random pipelines by name, in which every stage tries to read everything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt as _;
use serde_json::{Value, json};
use stageflow::graph::{InputError, InputErrorKind, NamedPipeline};
use stageflow::prelude::*;
use tokio::task::yield_now;

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime, Trial};

/// Nobody is called this.
const STRANGERS: [&str; 8] = [
    "",
    " ",
    "s0 ",
    "S1",
    "s-1",
    "s0/s1",
    "\0",
    "the run's input",
];

/// What each stage waits for, and whether it gives something.
struct Spec {
    upstream: Vec<Vec<usize>>,
    /// Optional, and skips.
    silent: Vec<bool>,
    waits: Vec<u32>,
    seed: u64,
}

impl Spec {
    fn draw(trial: Trial) -> Self {
        let mut rng = trial.seed.rng();
        let stages = rng.random_range(3..16);
        let upstream = |stage: usize| {
            (0..stage)
                .filter(|_| rng.random_range(0..3) == 0)
                .collect::<Vec<_>>()
        };
        let upstream: Vec<_> = (0..stages).map(upstream).collect();
        Self {
            upstream,
            silent: (0..stages)
                .map(|stage| stage + 1 < stages && rng.random_range(0..5) == 0)
                .collect(),
            waits: (0..stages).map(|_| rng.random_range(0..4)).collect(),
            seed: trial.seed.get(),
        }
    }

    fn value(&self, stage: usize) -> Value {
        json!({ "of": stage, "seed": self.seed })
    }
}

struct Common {
    witness: Witness,
    reads: AtomicU64,
    undeclared: AtomicU64,
    errors: AtomicU64,
}

pub(super) fn everything(lab: &mut Lab) -> Result<(), LabError> {
    let common = Arc::new(Common {
        witness: lab.witness(),
        reads: AtomicU64::new(0),
        undeclared: AtomicU64::new(0),
        errors: AtomicU64::new(0),
    });
    let (engine, count) = (lab.engine().build(), lab.scaled(5000));
    lab.trials(count, |lab, trial| {
        let spec = Arc::new(Spec::draw(trial));
        let calls: Arc<Mutex<Vec<usize>>> = Arc::default();
        let pipeline = build(&spec, &common, &calls)?;
        let report = lab.on(
            Runtime::Ct,
            engine.run(&pipeline, json!(trial.index), RunOptions::new()),
        )?;
        let mut called = calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        called.sort_unstable();
        let stages = spec.upstream.len();
        lab.check(
            called.iter().copied().eq(0..stages),
            "every stage runs once",
            Breach::Duplicated,
            || format!("{called:?} of {stages}"),
        );
        let output = report.output();
        let last = spec.value(stages - 1);
        lab.check(
            output.as_ref().is_ok_and(|output| **output == last),
            "no honest stage fails",
            Breach::WrongStatus,
            || format!("{output:?}: {:?}", report.errors()),
        );
        Ok(())
    })?;
    lab.metric(
        "reads",
        "count",
        common.reads.load(Ordering::Relaxed) as f64,
    );
    lab.metric(
        "undeclared_reads",
        "count",
        common.undeclared.load(Ordering::Relaxed) as f64,
    );
    Ok(())
}

fn build(
    spec: &Arc<Spec>,
    common: &Arc<Common>,
    calls: &Arc<Mutex<Vec<usize>>>,
) -> Result<NamedPipeline, LabError> {
    let mut p = Pipeline::by_name("reads");
    for (stage, upstream) in spec.upstream.iter().enumerate() {
        let (own, common, calls) = (Arc::clone(spec), Arc::clone(common), Arc::clone(calls));
        let run = stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
            let (spec, common, calls) = (Arc::clone(&own), Arc::clone(&common), Arc::clone(&calls));
            async move {
                calls
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(stage);
                for other in 0..spec.upstream.len() {
                    common.read(&spec, stage, other, &inputs);
                }
                for stranger in STRANGERS {
                    common.refused(stage, stranger, &inputs);
                }
                for _ in 0..spec.waits[stage] {
                    yield_now().await;
                }
                if spec.silent[stage] {
                    Err(Stop::skip("nothing to say"))
                } else {
                    Ok(spec.value(stage))
                }
            }
        });
        let declared = p.stage(format!("s{stage}"), run);
        let declared = if spec.silent[stage] {
            declared.optional()
        } else {
            declared
        };
        declared.after(upstream.iter().map(|up| format!("s{up}")));
    }
    p.output(format!("s{}", spec.upstream.len() - 1))
        .build()
        .map_err(LabError::new)
}

impl Common {
    /// Reads a stage of the pipeline in every way there is, and knows what must come of it.
    fn read(&self, spec: &Spec, stage: usize, other: usize, inputs: &NamedInputs) {
        let name = format!("s{other}");
        if !spec.upstream[stage].contains(&other) {
            self.refused(stage, &name, inputs);
            return;
        }
        self.reads.fetch_add(3, Ordering::Relaxed);
        let expected = (!spec.silent[other]).then(|| spec.value(other));
        let (got, required, decoded) = (
            inputs.get(&name),
            inputs.require(&name),
            inputs.decode::<Value>(&name),
        );
        let sound = match &expected {
            Some(value) => {
                got == Ok(Some(value)) && required == Ok(value) && decoded.as_ref() == Ok(value)
            }
            None => {
                let absent = |error: Option<&InputError>| {
                    error.is_some_and(|error| {
                        *error.kind() == InputErrorKind::Absent && error.code() == "SF0114"
                    })
                };
                got == Ok(None) && absent(required.as_ref().err()) && absent(decoded.as_ref().err())
            }
        };
        self.witness.check(
            sound,
            "a declared read is exact",
            Breach::WrongStatus,
            || {
                format!(
                    "s{stage} reads {name}: {got:?} {required:?} {decoded:?}, expected {expected:?}"
                )
            },
        );
    }

    fn refused(&self, stage: usize, name: &str, inputs: &NamedInputs) {
        let nth = self.undeclared.fetch_add(3, Ordering::Relaxed);
        self.reads.fetch_add(3, Ordering::Relaxed);
        let got = inputs.get(name).map(|_| ());
        let got = if nth % 10_002 >= 9_999 && self.witness.is_broken("nothing-for-undeclared") {
            Ok(())
        } else {
            got
        };
        let others = [
            inputs.require(name).map(|_| ()),
            inputs.decode::<Value>(name).map(|_| ()),
        ];
        for read in [got].into_iter().chain(others) {
            let nth = self.errors.fetch_add(1, Ordering::Relaxed);
            let hides = nth % 1000 == 999 && self.witness.is_broken("anonymous-error");
            let honest = read.as_ref().is_err_and(|error| {
                let text = if hides {
                    String::new()
                } else {
                    error.to_string()
                };
                *error.kind() == InputErrorKind::Undeclared
                    && error.code() == "SF0113"
                    && error.stage().as_str() == format!("s{stage}")
                    && error.upstream() == name
                    && error.declared().iter().eq(inputs.names())
                    && text.contains(&format!("`s{stage}`"))
                    && text.contains(&format!("{name:?}"))
            });
            self.witness.check(
                honest,
                "an undeclared read is an error that names both",
                Breach::Leaked,
                || format!("s{stage} reads {name:?}: {read:?}"),
            );
        }
    }
}
