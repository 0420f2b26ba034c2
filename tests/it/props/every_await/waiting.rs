//! Pipelines that branch, go round, and wait for others: for people, for budgets, for units, for readers.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use futures_util::future::join;
use stageflow::prelude::*;
use tokio::time::sleep;

use super::pipelines::{Make, TICK, calls, one, sum};
use super::world::{Waits, World};

/// Every one of them, with the name it is reported under.
pub(super) const WAITING: &[(&str, Make)] = &[
    ("a map that fails", map_that_fails),
    ("a map that skips what fails", map_that_skips),
    ("a map of runs", map_of_runs),
    ("a writer and a guard", corrects),
    ("a route, a fallback and a merge", branches),
    ("a gate", gate),
    ("stages that need the same unit", units),
    ("stages that set the same tokens aside", budgets),
    ("stages that stream", streams),
];

fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Behind the input: as many numbers.
fn numbers(p: &mut stageflow::graph::PipelineBuilder<u64>, count: u64) -> Handle<Vec<Arc<u64>>> {
    let n = p.input::<u64>();
    let numbers = stage_fn(move |_cx: StageCx, _: Arc<u64>| async move {
        Ok::<_, Stop>((0..count).map(Arc::new).collect::<Vec<_>>())
    });
    p.stage("numbers", numbers).after(n)
}

/// An item: the third one fails, and the first attempt of the second as well.
fn item(world: &World) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    world.stage(|world, cx, n| async move {
        world.pauses(1).await;
        match n {
            1 if cx.attempt().get() == 1 => Err(Stop::transient("busy")),
            2 => {
                sleep(TICK).await;
                Err(Stop::fail("bad luck"))
            }
            n => Ok(n),
        }
    })
}

async fn total(_cx: StageCx, all: Arc<Vec<Arc<u64>>>) -> Result<u64, Stop> {
    Ok(all.iter().map(|n| **n).sum())
}

fn map_that_fails(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let mut p = Pipeline::builder("map");
    let items = numbers(&mut p, 5);
    let all = p.stage("all", map(item(world)).width(many(2))).after(items);
    let all = p.stage("total", stage_fn(total)).after(all);
    let engine = world.engine().intercept(Waits(world.clone())).build();
    (engine, p.output(all).build().unwrap())
}

fn map_that_skips(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let mut p = Pipeline::builder("map");
    let items = numbers(&mut p, 5);
    let all = map(item(world)).width(many(3)).skip_failed();
    let all = p.stage("all", all).spawn().after(items);
    let all = p.stage("total", stage_fn(total)).after(all);
    let engine = world.engine().intercept(Waits(world.clone())).build();
    (engine, p.output(all).build().unwrap())
}

fn map_of_runs(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let child = one("child", world.works(1));
    let mut p = Pipeline::builder("map");
    let items = numbers(&mut p, 3);
    let all = p
        .stage("all", map(calls(world, &child)).width(many(2)))
        .after(items);
    let all = p.stage("total", stage_fn(total)).after(all);
    (world.engine().build(), p.output(all).build().unwrap())
}

type Last = Option<Arc<Revision<u64, ()>>>;

fn corrects(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let writes = world.clone();
    let write = stage_fn(move |cx: StageCx, (n, last): (Arc<u64>, Last)| {
        let work = writes.stage(move |world, _, n| {
            let last = last.clone();
            async move {
                world.pauses(1).await;
                Ok(last.map_or(n, |last| **last.draft() + 1))
            }
        });
        async move { work.run(cx, n).await }
    });
    let guards = world.clone();
    let guard = stage_fn(move |cx: StageCx, draft: Arc<u64>| {
        let work = guards.works(1);
        async move {
            let seen = work.run(cx, draft).await?;
            Ok::<_, Stop>(if seen > 3 {
                Review::Pass
            } else {
                Review::Revise(())
            })
        }
    });
    let stage = correct(write, guard).at_most(NonZeroU32::new(4).unwrap());
    (world.engine().build(), one("corrects", stage))
}

#[derive(Route)]
enum Way {
    Left(u64),
    Right(u64),
}

fn branches(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let fails = || {
        world.stage(|world, _, _| async move {
            world.pauses(1).await;
            Err(Stop::fail("bad luck"))
        })
    };
    let decides = world.clone();
    let both = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let work = decides.works(1);
        async move {
            let n = work.run(cx, n).await?;
            Ok::<_, Stop>(vec![Way::Left(n), Way::Right(n)])
        }
    });
    let mut p = Pipeline::builder("branches");
    let n = p.input::<u64>();
    let WayArms { left, right } = p.route("way", both).after(n);
    let left = p
        .stage("left", fails())
        .or("spare", fails())
        .or("last", world.works(1))
        .after(left);
    let right = p
        .stage("right", fails())
        .spawn()
        .or("other", world.works(2))
        .after(right);
    let merged = p.merge("merged", [left, right]);
    let end = p.stage("end", world.works(1)).after(merged);
    (world.engine().build(), p.output(end).build().unwrap())
}

fn gate(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let desk = ApprovalDesk::new();
    let mut p = Pipeline::builder("gate");
    let n = p.input::<u64>();
    let draft = p.stage("draft", world.works(1)).after(n);
    let signed = p.stage("signed", approval::<u64>()).after(draft);
    let sent = p.stage("sent", world.works(1)).after(signed);
    let person = desk.clone();
    let decides = world.stage(move |world, _, n| {
        let desk = person.clone();
        async move {
            let request = desk.next_request().await;
            world.pauses(2).await;
            desk.edit(request.id, 5.into(), "ada").map_err(Stop::fail)?;
            Ok(n)
        }
    });
    let decided = p.stage("person", decides).after(n);
    world.expect("a request is left", {
        let desk = desk.clone();
        move || desk.pending().is_empty()
    });
    let engine = world.engine().approvals(desk).build();
    (engine, sum(p, vec![sent, decided]))
}

fn units(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let unit = || NonZeroU32::new(1).unwrap();
    let lends = || {
        world.stage(|world, cx, n| async move {
            world.pauses(1).await;
            let waited = cx.lend(sleep(TICK));
            world.counted(Box::pin(waited)).await;
            world.pauses(1).await;
            Ok(n)
        })
    };
    let mut p = Pipeline::builder("child");
    let n = p.input::<u64>();
    let only = p.stage("only", world.works(1)).pool("gpu", unit()).after(n);
    let child = p.output(only).build().unwrap();
    let mut p = Pipeline::builder("units");
    let items = numbers(&mut p, 3);
    let all = p
        .stage("all", map(lends()))
        .pool("gpu", unit())
        .after(items);
    let all = p.stage("total", stage_fn(total)).after(all);
    let n = all;
    let a = p.stage("a", lends()).pool("gpu", unit()).after(n);
    let b = p.stage("b", lends()).pool("gpu", unit()).spawn().after(n);
    let c = p.stage("c", calls(world, &child));
    let c = c.pool("gpu", unit()).after(n);
    let engine = world.engine().pool("gpu", unit()).slots(many(2)).build();
    (engine, sum(p, vec![a, b, c]))
}

fn budgets(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let limits = BudgetLimits::new().tokens(10).steps(50);
    let budget = Budget::new("patient", limits.on_exceed(OnExceed::Suspend));
    let spends = || {
        world.stage(|world, cx, n| async move {
            world.pauses(1).await;
            let set_aside = world.counted(Box::pin(cx.reserve(Amounts::tokens(10))));
            let set_aside = set_aside.await?;
            world.pauses(1).await;
            set_aside.settle(Amounts::ZERO);
            Ok(n)
        })
    };
    let unit = NonZeroU32::new(1).unwrap();
    let mut p = Pipeline::builder("budgets");
    let n = p.input::<u64>();
    let a = p.stage("a", spends()).pool("gpu", unit).after(n);
    let b = p.stage("b", spends()).pool("gpu", unit).spawn().after(n);
    let c = p.stage("c", spends()).after(n);
    world.paid_by(&budget);
    world.expect("something is set aside or waits", move || {
        budget.reserved() == Amounts::ZERO && budget.waiting() == 0
    });
    let engine = world.engine().pool("gpu", unit).build();
    (engine, sum(p, vec![a, b, c]))
}

fn streams(world: &World) -> (Engine, Pipeline<u64, u64>) {
    let says = || {
        world.stage(|world, cx, n| async move {
            for chunk in 0..4_u64 {
                world.counted(Box::pin(cx.send_chunk(chunk))).await;
                cx.chunk("more");
            }
            let (_, ()) = join(world.pauses(1), async { cx.debug("detail") }).await;
            Ok(n)
        })
    };
    let child = one("child", says());
    let mut p = Pipeline::builder("streams");
    let items = numbers(&mut p, 2);
    let all = p.stage("all", map(calls(world, &child))).after(items);
    let all = p.stage("total", stage_fn(total)).after(all);
    let n = all;
    let a = p.stage("a", says()).after(n);
    let b = p.stage("b", says()).spawn().after(n);
    (world.engine().build(), sum(p, vec![a, b]))
}
