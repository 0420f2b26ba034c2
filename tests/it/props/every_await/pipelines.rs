//! The pipelines of this fuzz. To try another one, add it to the list.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join3};
use stageflow::prelude::*;
use tokio::time::sleep;

use super::world::{Waits, World};

/// Makes an engine and a pipeline in a world.
pub(super) type Make = fn(&World) -> (Engine, Pipeline<u64, u64>);

/// Every one of them, with the name it is reported under.
pub(super) const ALL: &[(&str, Make)] = &[
    ("a chain", chain),
    ("in every place", places),
    ("layers that wait", layers),
    ("attempts that fail", attempts),
    ("runs three deep", deep),
    ("runs from every place", children_from_everywhere),
    ("runs beside each other", children_beside),
    ("a run that is given up", given_up),
    ("limits and optional stages", limits),
    ("cleanups that do more", cleanups),
    ("stages with grace", grace),
    ("a stage that fails", fails),
    ("a stage that cancels", cancels),
    ("stages that talk", talk),
    ("stages that call", call),
];

type Maybe = Arc<Option<u64>>;

pub(super) const TICK: Duration = Duration::from_millis(1);

/// One stage behind each of the handles that sums up what they give.
pub(super) fn sum(
    mut p: stageflow::graph::PipelineBuilder<u64>,
    all: Vec<Handle<u64>>,
) -> Pipeline<u64, u64> {
    let sum = stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>()));
    let sum = p.stage("sum", sum).after(all);
    p.output(sum).build().unwrap()
}

/// A pipeline of this one stage.
pub(super) fn one(
    name: &str,
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let only = p.stage("only", stage).after(n);
    p.output(only).build().unwrap()
}

fn chain(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let mut p = Pipeline::builder("chain");
    let n = p.input::<u64>();
    let a = p.stage("a", world.works(0)).after(n);
    let b = p.stage("b", world.works(2)).after(a);
    let c = p.stage("c", world.works(1)).after(b);
    (world.engine().build(), p.output(c).build().unwrap())
}

fn places(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let mut p = Pipeline::builder("places");
    let n = p.input::<u64>();
    let a = p.stage("a", world.works(2)).after(n);
    let b = p.stage("b", world.works(2)).spawn().after(n);
    let c = p.stage("c", world.works(2)).blocking().after(n);
    let d = p.stage("d", world.works(1)).spawn().after(a);
    (world.engine().build(), sum(p, vec![b, c, d]))
}

fn layers(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let (_, pipeline) = places(world);
    (
        world.engine().intercept(Waits(world.clone())).build(),
        pipeline,
    )
}

fn attempts(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let flaky = || {
        world.stage(|world, cx, n| async move {
            world.pauses(1).await;
            if cx.attempt().get() == 1 {
                return Err(Stop::transient("busy"));
            }
            Ok(n)
        })
    };
    let mut p = Pipeline::builder("attempts");
    let n = p.input::<u64>();
    let a = p.stage("a", flaky()).after(n);
    let b = p.stage("b", flaky()).spawn().after(n);
    let engine = world.engine().intercept(Waits(world.clone())).build();
    (engine, sum(p, vec![a, b]))
}

fn deep(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let mut pipeline = one("bottom", world.works(2));
    for name in ["third", "second", "first"] {
        let mut p = Pipeline::builder(name);
        let n = p.input::<u64>();
        let below = p.stage("below", sub(&pipeline)).after(n);
        let after = p.stage("after", world.works(1)).after(below);
        pipeline = p.output(after).build().unwrap();
    }
    (world.engine().build(), pipeline)
}

/// A stage that runs this as a child while it holds what it holds.
pub(super) fn calls(
    world: &World,
    child: &Pipeline<u64, u64>,
) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let child = child.clone();
    world.stage(move |world, cx, n| {
        let child = child.clone();
        async move {
            let output = world
                .counted(Box::pin(cx.run(&child, n).into_future()))
                .await;
            world.pauses(1).await;
            Ok(*output?)
        }
    })
}

fn children_from_everywhere(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let child = one("child", world.works(1));
    let mut p = Pipeline::builder("everywhere");
    let n = p.input::<u64>();
    let a = p.stage("a", calls(world, &child)).after(n);
    let b = p.stage("b", calls(world, &child)).spawn().after(n);
    let c = p.stage("c", calls(world, &child)).blocking().after(n);
    (world.engine().build(), sum(p, vec![a, b, c]))
}

fn children_beside(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let child = one("child", world.works(2));
    let beside = world.stage(move |_, cx, n| {
        let child = child.clone();
        async move {
            let all = join3(
                cx.run(&child, n).into_future(),
                cx.run(&child, n).into_future(),
                cx.run(&child, n).report(),
            );
            let (a, b, c) = all.await;
            Ok(*a? + *b? + c?.stages().len() as u64)
        }
    });
    (world.engine().build(), one("beside", beside))
}

fn given_up(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let hangs = world.stage(|world, _, _| async move {
        world.pauses(1).await;
        std::future::pending().await
    });
    let child = one("child", hangs);
    let gives_up = world.stage(move |world, cx, n| {
        let child = child.clone();
        async move {
            if let Ok(ended) = tokio::time::timeout(TICK, cx.run(&child, n)).await {
                ended?;
            }
            world.pauses(1).await;
            Ok(n)
        }
    });
    let mut p = Pipeline::builder("given-up");
    let n = p.input::<u64>();
    let a = p.stage("a", gives_up).after(n);
    let b = p.stage("b", world.works(1)).after(a);
    (world.engine().build(), p.output(b).build().unwrap())
}

fn limits(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let sleeps = |long: u32| {
        world.stage(move |world, _, n| async move {
            world.pauses(1).await;
            sleep(TICK * long).await;
            Ok(n)
        })
    };
    let mut p = Pipeline::builder("limits");
    let n = p.input::<u64>();
    let a = p
        .stage("a", sleeps(9))
        .timeout(TICK * 3)
        .optional()
        .after(n);
    let b = p
        .stage("b", sleeps(9))
        .timeout(TICK * 3)
        .spawn()
        .optional()
        .after(n);
    let c = p.stage("c", sleeps(2)).after(n);
    let skips = world.stage(|_, _, _| async { Err(Stop::skip("nothing to do")) });
    let d = p.stage("d", skips).optional().after(c);
    let sum = stage_fn(async |_cx, (a, b, d): (Maybe, Maybe, Maybe)| {
        Ok([a, b, d].iter().filter_map(|n| **n).sum::<u64>())
    });
    let sum = p.stage("sum", sum).after((a, b, d));
    (world.engine().build(), p.output(sum).build().unwrap())
}

fn cleanups(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let stage = world.stage(|world, cx, n| async move {
        let (later, inside) = (cx.clone(), world.clone());
        cx.on_cleanup("more", async move || {
            let again = inside.clone();
            later.on_cleanup("again", async move || again.pauses(1).await);
            inside.pauses(1).await;
        });
        cx.on_cleanup("fails", async || Err::<(), _>("no"));
        cx.on_cleanup("panics", async || crate::support::blow_up("oh"));
        world.pauses(1).await;
        Ok(n)
    });
    (world.engine().build(), one("cleanups", stage))
}

fn grace(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let tidies = |long: u32| {
        world.stage(move |world, cx, n| async move {
            world.pauses(1).await;
            tokio::select! {
                () = cx.cancelled() => sleep(TICK * long).await,
                () = sleep(TICK * 3) => {}
            }
            Ok(n)
        })
    };
    let mut p = Pipeline::builder("grace");
    let n = p.input::<u64>();
    let a = p.stage("a", tidies(2)).grace(TICK * 5).after(n);
    let b = p.stage("b", tidies(9)).grace(TICK * 5).spawn().after(n);
    let c = p.stage("c", world.works(1)).after(a);
    (world.engine().build(), sum(p, vec![b, c]))
}

fn fails(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let fails = world.stage(|world, _, _| async move {
        world.pauses(3).await;
        Err(Stop::fail("bad luck"))
    });
    let mut p = Pipeline::builder("fails");
    let n = p.input::<u64>();
    let a = p.stage("a", fails).after(n);
    let b = p.stage("b", world.works(9)).after(n);
    let c = p.stage("c", world.works(9)).spawn().after(n);
    (world.engine().build(), sum(p, vec![a, b, c]))
}

fn cancels(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let cancels = world.stage(|world, _, _| async move {
        world.pauses(2).await;
        Err(Stop::cancel("enough"))
    });
    let child = one("child", cancels);
    let mut p = Pipeline::builder("cancels");
    let n = p.input::<u64>();
    let a = p.stage("a", calls(world, &child)).after(n);
    let b = p.stage("b", world.works(5)).after(n);
    (world.engine().build(), sum(p, vec![a, b]))
}

fn talk(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let talks = world.stage(|world, cx, n| async move {
        let says = async {
            for _ in 0..2 {
                cx.emit("fuzz.said", serde_json::json!(1)).await?;
                world.pauses(1).await;
            }
            Ok::<_, Stop>(())
        };
        let (said, ()) = join(says, world.pauses(2)).await;
        said.map(|()| n)
    });
    (world.engine().build(), one("talk", talks))
}

/// Models and tools, the one inside the other, in every place; one call fails, one is left behind, one is made in a cleanup.
fn call(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let calls = || {
        world.stage(|world, cx, n| async move {
            let late = cx.clone();
            cx.on_cleanup("undo", move || async move {
                let undo = late.operation(Operation::tool("undo"), async |_| Ok::<(), Stop>(()));
                drop(undo.await);
            });
            let left = cx.clone();
            drop(tokio::spawn(async move {
                let never = std::future::pending::<Result<(), Stop>>();
                let left = left.operation(Operation::named("left"), move |_| never);
                drop(tokio::time::timeout(TICK, left).await);
            }));
            cx.operation(Operation::chat("m"), async |op| {
                world.pauses(1).await;
                let used = op.operation(Operation::tool("t"), async |_| {
                    world.pauses(1).await;
                    Err::<u64, _>("no such tool")
                });
                Ok::<_, Stop>(used.await.unwrap_or(n))
            })
            .await
        })
    };
    let mut p = Pipeline::builder("calls");
    let n = p.input::<u64>();
    let a = p.stage("a", calls()).after(n);
    let b = p.stage("b", calls()).spawn().after(n);
    let c = p.stage("c", calls()).blocking().after(n);
    let engine = world.engine().intercept(Waits(world.clone())).build();
    (engine, sum(p, vec![a, b, c]))
}
