//! Parts of a stage: the layers around them, their attempts, limits and endings.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use stageflow::context::{DynValue, PartLimits, Step};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use crate::attempts::Again;
use crate::support::{Lab, Log, PLACEMENTS, PassOn, alone, placed, watched};

type Numbers = Vec<Arc<u64>>;

fn numbers(count: u64) -> Numbers {
    (0..count).map(Arc::new).collect()
}

/// A pipeline of one map, `a`.
fn over(
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<Numbers, Vec<Arc<u64>>> {
    let mut p = Pipeline::builder("over");
    let n = p.input::<Numbers>();
    let a = placed(p.stage("a", map(stage)), placement).after(n);
    p.output(a).build().unwrap()
}

/// Writes down what it is put around.
struct Witness(Log, Phase);

impl Hook for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn phase(&self) -> Phase {
        self.1
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.0.write(format!("in {}", call.cx().path()));
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        self.0
            .write(format!("out {} {}", call.cx().path(), ending.outcome()));
    }
}

#[test]
fn layers_are_around_each_part_and_not_around_the_stage() {
    for waits in [false, true] {
        for placement in PLACEMENTS {
            let log = Log::default();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                let lab = Lab::with(|builder| {
                    let builder = builder.intercept(Witness(log.clone(), Phase::Security));
                    if waits {
                        let inner = Witness(log.clone(), Phase::Inner);
                        builder.intercept(PassOn).intercept(inner)
                    } else {
                        builder
                    }
                });
                let pipeline = over(
                    watched(&lab.probe, async |_cx, n: Arc<u64>| Ok(*n)),
                    placement,
                );
                let report = lab
                    .engine
                    .run(&pipeline, numbers(2), RunOptions::new())
                    .await;
                assert!(report.is_success());
                lab.sink.assert_sound(pipeline.plan());
                lab.assert_nothing_left().await;
            });
            let lines = log.take();
            let of = |what: &str| lines.iter().filter(|line| *line == what).count();
            let layers = if waits { 2 } else { 1 };
            for line in [
                "in a[0]",
                "out a[0] succeeded",
                "in a[1]",
                "out a[1] succeeded",
            ] {
                assert_eq!(of(line), layers, "{lines:?}");
            }
            assert_eq!(lines.len(), 4 * layers, "{lines:?}");
        }
    }
}

#[test]
fn a_layer_that_calls_again_gives_a_part_another_attempt() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Again(3)));
        let flaky = watched(&lab.probe, async |cx: StageCx, n: Arc<u64>| {
            match u64::from(cx.attempt().get()) > *n {
                true => Ok(*n),
                false => Err(Stop::transient("not yet")),
            }
        });
        let pipeline = over(flaky, Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        assert!(report.is_success());
        assert_eq!(report.stage("a").unwrap().attempts(), 1);
        let parts = report.stage("a").unwrap().parts();
        assert_eq!((parts.started, parts.succeeded, parts.failed), (3, 3, 0));
        let events = lab.events();
        let of: Vec<_> = events
            .iter()
            .filter(|line| line.starts_with("a[2]"))
            .collect();
        assert_eq!(
            of,
            [
                "a[2] started 1",
                "a[2] failed 1",
                "a[2] started 2",
                "a[2] failed 2",
                "a[2] started 3",
                "a[2] succeeded 3",
            ]
        );
        let report = lab
            .engine
            .run(&pipeline, numbers(4), RunOptions::new())
            .await;
        assert_eq!(
            report.error().unwrap().to_string(),
            "SF0301: stage `a[3]` failed (transient) in attempt 3: not yet; try again later, or put a retrying layer around the stage"
        );
    });
}

/// Does something to one part.
struct Meddle(&'static str, fn(&Call<'_>) -> Flow);

impl Hook for Meddle {
    fn name(&self) -> &str {
        "meddle"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if call.part().is_some_and(|part| part.to_string() == self.0) {
            (self.1)(call)
        } else {
            Flow::Continue
        }
    }
}

#[test]
fn a_layer_can_answer_for_a_part_and_its_answer_must_be_of_the_parts_type() {
    paused(async {
        let pipeline = over(script::give(|n: Arc<u64>| Ok(*n)), Placement::Inline);
        let nine = Meddle("[1]", |_| Flow::Answer(DynValue::new(9_u64)));
        let lab = Lab::with(|builder| builder.intercept(nine));
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
        assert_eq!(results, [0, 9, 2]);
        let events = lab.events();
        assert!(events.contains(&"a[1] answered succeeded".to_owned()));
        assert!(!events.contains(&"a[1] started 1".to_owned()));

        let text = Meddle("[1]", |_| Flow::Answer(DynValue::new("nine")));
        let lab = Lab::with(|builder| builder.intercept(text));
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        assert_eq!(
            report.error().unwrap().to_string(),
            "SF0307: stage `a[1]` was answered with a value of the wrong type: layer `meddle` answered with a value that is not a `u64`; let the layer answer with the output type of the stage it wraps"
        );
    });
}

#[test]
fn a_part_that_is_denied_denies_the_stage_whatever_the_policy() {
    paused(async {
        let deny = Meddle("[1]", |call| {
            Flow::Deny(call.denied("meddle", "not this one"))
        });
        let lab = Lab::with(|builder| builder.intercept(deny));
        let stage = map(script::give(|n: Arc<u64>| Ok(*n))).collect();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Numbers>();
        let a = p.stage("a", stage).optional().after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        assert_eq!(report.outcome(), Outcome::Denied);
        assert_eq!(
            report.error().unwrap().to_string(),
            "SF0305: stage `a[1]` was denied: layer `meddle`: not this one; look at the layer that is named: it decides who may call this stage"
        );
        assert_eq!(report.stage("a").unwrap().parts().denied, 1);
        assert!(lab.events().contains(&"a[1] answered denied".to_owned()));
    });
}

#[test]
fn limits_that_layers_set_hold_for_each_part_and_the_parts_own_come_first() {
    paused(async {
        let lab = Lab::with(|builder| builder.intercept(Timeout::attempt(2.secs())));
        let second = || {
            watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| {
                tokio::time::sleep(Duration::from_secs(1 + *n)).await;
                Ok(*n)
            })
        };
        // One at a time takes longer than the layer allows a stage.
        let mut p = Pipeline::builder("over");
        let n = p.input::<Numbers>();
        let one = std::num::NonZeroUsize::MIN;
        let a = p.stage("a", map(second()).width(one).collect()).after(n);
        let own = map(second()).width(one).item_timeout(9.secs()).collect();
        let b = p.stage("b", own).after(n);
        let both = p.stage("both", script::ok(())).after((a, b));
        let pipeline = p.output(both).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(4), RunOptions::new())
            .await;
        assert!(report.is_success());
        let parts = |stage| report.stage(stage).unwrap().parts();
        assert_eq!((parts("a").succeeded, parts("a").timed_out), (2, 2));
        assert_eq!((parts("b").succeeded, parts("b").timed_out), (4, 0));
    });
}

/// Any stage may call parts of its own; the layers are around it as well.
#[test]
fn a_plain_stage_can_do_its_work_in_parts() {
    async fn two(cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
        let limits = PartLimits::default();
        let n = *n;
        let more = cx
            .call(Step::Named("more".into()), limits, |cx| async move {
                assert_eq!(cx.path(), "a.more");
                Ok(n + 1)
            })
            .await?;
        cx.call(Step::Named("odd".into()), limits, |_cx| {
            let more = *more;
            async move {
                match more % 2 {
                    1 => Ok(()),
                    _ => Err(Stop::skip("even")),
                }
            }
        })
        .await?;
        Ok(*more)
    }
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            let log = Log::default();
            let witness = Witness(log.clone(), Phase::Inner);
            let lab = Lab::with(|builder| builder.intercept(PassOn).intercept(witness));
            let pipeline = alone(stage_fn(two), placement);
            let report = lab.engine.run(&pipeline, 2, RunOptions::new()).await;
            assert_eq!(report.output().unwrap(), &3);
            lab.sink.assert_sound(pipeline.plan());
            let lines = [
                "in a",
                "in a.more",
                "out a.more succeeded",
                "in a.odd",
                "out a.odd succeeded",
                "out a succeeded",
            ];
            assert_eq!(log.take(), lines);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.outcome(), Outcome::Skipped);
            assert_eq!(report.stage("a").unwrap().skip_reason(), Some("even"));
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_run_that_is_dropped_leaves_every_layer_of_every_part_once_and_tells_of_their_ends() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            for waits in [false, true] {
                let log = Log::default();
                let lab = Lab::with(|builder| {
                    let builder = builder.intercept(Witness(log.clone(), Phase::Security));
                    if waits {
                        builder.intercept(PassOn)
                    } else {
                        builder
                    }
                });
                let stage = watched(&lab.probe, async |_cx: StageCx, _n: Arc<u64>| {
                    std::future::pending::<()>().await;
                    Ok(0)
                });
                let pipeline = over(stage, placement);
                let mut run = Box::pin(lab.engine.run(&pipeline, numbers(3), RunOptions::new()));
                while lab.probe.live() < 3 {
                    assert!(poll!(&mut run).is_pending());
                    tokio::task::yield_now().await;
                }
                drop(run);
                lab.engine.settled().await;
                let events = lab.assert_nothing_left().await;
                let ended = events.iter().filter(|line| line.ends_with("] cancelled 1"));
                assert_eq!(ended.count(), 3, "{events:?}");
                let mut lines = log.take();
                lines.sort();
                assert_eq!(
                    lines,
                    [
                        "in a[0]",
                        "in a[1]",
                        "in a[2]",
                        "out a[0] cancelled",
                        "out a[1] cancelled",
                        "out a[2] cancelled",
                    ]
                );
            }
        }
    });
}
