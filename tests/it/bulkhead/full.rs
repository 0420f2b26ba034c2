//! Random calls that end in every way, against a plain list of who is there.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use stageflow_testkit::{Property, paused};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{bulkhead, seen, some, weighing};

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum How {
    Succeeds,
    Fails,
    Panics,
    Skips,
    IsCancelled,
    IsDropped,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Start {
        weight: u16,
        engine: usize,
    },
    /// Of those that are there, inside or waiting.
    End {
        which: usize,
        how: How,
    },
}

fn ops() -> impl Strategy<Value = (usize, Vec<Op>)> {
    let how = prop_oneof![
        Just(How::Succeeds),
        Just(How::Fails),
        Just(How::Panics),
        Just(How::Skips),
        Just(How::IsCancelled),
        Just(How::IsDropped),
    ];
    let start = (prop::sample::select(vec![1_u16, 4, 8]), 0..2_usize)
        .prop_map(|(weight, engine)| Op::Start { weight, engine });
    let end = (any::<usize>(), how).prop_map(|(which, how)| Op::End { which, how });
    (
        1..5_usize,
        prop::collection::vec(prop_oneof![3 => start, 2 => end], 1..60),
    )
}

type Inside = Arc<Mutex<Vec<(u64, oneshot::Sender<How>)>>>;

struct Live {
    number: u64,
    weight: u16,
    handle: RunHandle,
    run: JoinHandle<RunReport<u64>>,
}

/// Calls of random runs, and a plain list of who is there.
struct World {
    limit: usize,
    bulkhead: Bulkhead,
    engines: [Engine; 2],
    pipeline: Pipeline<u64, u64>,
    inside: Inside,
    live: Vec<Live>,
    entered: Vec<u64>,
    next: u64,
}

impl World {
    fn new(limit: usize) -> Self {
        let bulkhead = bulkhead(limit).queue(some(1000));
        let inside = Inside::default();
        let there = Arc::clone(&inside);
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let (end, ends) = oneshot::channel();
            there.lock().unwrap().push((*n, end));
            async move {
                match ends.await {
                    Ok(How::Succeeds) => Ok(1),
                    Ok(How::Fails) => Err(Stop::transient("busy")),
                    Ok(How::Panics) => std::panic::resume_unwind(Box::new("on purpose")),
                    Ok(How::Skips) => Err(Stop::skip("nothing to do")),
                    Ok(How::IsCancelled | How::IsDropped) | Err(_) => std::future::pending().await,
                }
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        Self {
            limit,
            engines: [(); 2].map(|()| Engine::builder().intercept(bulkhead.clone()).build()),
            bulkhead,
            pipeline: p.output(a).build().unwrap(),
            inside,
            live: Vec::new(),
            entered: Vec::new(),
            next: 0,
        }
    }

    async fn start(&mut self, weight: u16, engine: usize) {
        let number = self.next;
        self.next += 1;
        let (engine, pipeline) = (self.engines[engine].clone(), self.pipeline.clone());
        let (give_handle, handle) = oneshot::channel();
        let run = tokio::spawn(async move {
            let run = engine.run(&pipeline, number, weighing(weight));
            let _ = give_handle.send(run.handle());
            run.await
        });
        self.live.push(Live {
            number,
            weight,
            handle: handle.await.unwrap(),
            run,
        });
    }

    async fn end(&mut self, which: usize, how: How) {
        if self.live.is_empty() {
            return;
        }
        let live = self.live.remove(which % self.live.len());
        let at = {
            let mut inside = self.inside.lock().unwrap();
            let at = inside.iter().position(|(number, _)| *number == live.number);
            at.map(|at| inside.remove(at))
        };
        match (how, at) {
            (How::IsDropped, _) => {
                live.run.abort();
                let _ = live.run.await;
                self.engines[0].settled().await;
                self.engines[1].settled().await;
            }
            (How::IsCancelled, _) | (_, None) => {
                live.handle.cancel("enough");
                live.run.await.unwrap();
            }
            (how, Some((_, end))) => {
                end.send(how).unwrap();
                live.run.await.unwrap();
            }
        }
    }

    /// As many are inside as there is room for, whoever is not waits, and nobody has passed one of its own weight.
    async fn check(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let inside: Vec<u64> = self
            .inside
            .lock()
            .unwrap()
            .iter()
            .map(|(n, _)| *n)
            .collect();
        let expected = self.live.len().min(self.limit);
        prop_assert_eq!(inside.len(), expected, "of {} there", self.live.len());
        if self.next > 0 {
            let waiting = self.live.len() - expected;
            prop_assert_eq!(seen(&self.bulkhead), [self.limit, expected, waiting]);
        }
        self.entered.extend(&inside);
        for live in &self.live {
            let passed = |other: &&Live| other.weight == live.weight && other.number > live.number;
            let waits = !inside.contains(&live.number);
            let passing = self.live.iter().filter(passed);
            let is_passed = passing
                .filter(|other| inside.contains(&other.number))
                .count()
                > 0;
            prop_assert!(!(waits && is_passed), "{} was passed", live.number);
        }
        Ok(())
    }
}

#[test]
fn never_more_are_inside_and_every_place_comes_back() {
    Property::new("a bulkhead is as full as it may be, and no fuller")
        .cases(150)
        .holds_for(&ops(), |(limit, ops)| {
            paused(async {
                let mut world = World::new(limit);
                for op in ops {
                    match op {
                        Op::Start { weight, engine } => world.start(weight, engine).await,
                        Op::End { which, how } => world.end(which, how).await,
                    }
                    world.check().await?;
                }
                while !world.live.is_empty() {
                    world.end(0, How::Succeeds).await;
                    world.check().await?;
                }
                Ok(())
            })
        });
}
