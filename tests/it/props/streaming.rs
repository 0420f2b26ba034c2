//! Streams with writers and readers of any speed: everything is delivered or missed, and never both.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::context::RunId;
use stageflow::events::EventKind;
use stageflow::executor::StreamItem;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::Property;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use tokio::runtime::{Builder, Runtime};

use crate::support::{PLACEMENTS, placed, undisturbed};

/// What one stage streams: so many pieces, with a turn for others after so many.
#[derive(Clone, Debug)]
struct Writer {
    pieces: u64,
    pause_after: u64,
    placement: Placement,
    sends: bool,
}

/// How the stream is read: with so many turns for others before each item, and a stop after so many items.
#[derive(Clone, Debug)]
struct Reader {
    capacity: usize,
    tier: Tier,
    waits: bool,
    pauses: Vec<usize>,
    leaves_after: Option<usize>,
}

fn writers() -> impl Strategy<Value = Vec<Writer>> {
    let writer = (0..60_u64, 1..10_u64, 0..PLACEMENTS.len(), any::<bool>());
    let writer = writer.prop_map(|(pieces, pause_after, place, sends)| Writer {
        pieces,
        pause_after,
        placement: PLACEMENTS[place],
        sends,
    });
    prop::collection::vec(writer, 1..6)
}

fn reader() -> impl Strategy<Value = Reader> {
    let tier = prop_oneof![Just(Tier::Lifecycle), Just(Tier::Chunks), Just(Tier::Debug)];
    let pauses = prop::collection::vec(0..12_usize, 1..5);
    let leaves = prop::option::weighted(0.2, 0..40_usize);
    (1..20_usize, tier, any::<bool>(), pauses, leaves).prop_map(
        |(capacity, tier, waits, pauses, leaves_after)| Reader {
            capacity,
            tier,
            waits,
            pauses,
            leaves_after,
        },
    )
}

fn stage(writer: &Writer) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let writer = writer.clone();
    stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let writer = writer.clone();
        async move {
            for n in 0..writer.pieces {
                if writer.sends {
                    cx.send_chunk(n).await;
                } else {
                    cx.chunk(n);
                }
                cx.debug(n);
                if (n + 1) % writer.pause_after == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Ok(writer.pieces)
        }
    })
}

fn pipeline(writers: &[Writer]) -> Pipeline<u64, usize> {
    let mut p = Pipeline::builder("writers");
    let n = p.input::<u64>();
    let mut all = Vec::new();
    for (i, writer) in writers.iter().enumerate() {
        all.push(placed(p.stage(format!("w{i}"), stage(writer)), writer.placement).after(n));
    }
    let join = p
        .stage(
            "join",
            stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
        )
        .after(all);
    p.output(join).build().unwrap()
}

#[test]
fn everything_is_delivered_or_missed_whatever_the_speeds() {
    for workers in [2, 8] {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .unwrap();
        Property::new("a stream loses nothing without a word")
            .cases(150)
            .holds_for(&(writers(), reader()), |(writers, reader)| {
                read_and_check(&runtime, &writers, &reader)
            });
    }
}

fn read_and_check(runtime: &Runtime, writers: &[Writer], reader: &Reader) -> TestCaseResult {
    let pipeline = pipeline(writers);
    let engine = undisturbed().build();
    let mut options = StreamOptions::new()
        .tier(reader.tier)
        .capacity(NonZeroUsize::new(reader.capacity).unwrap());
    if reader.waits {
        options = options.wait_for_reader();
    }
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(options);
    let id = run.id();
    let pauses = reader.pauses.clone();
    let leaves_after = reader.leaves_after;
    let (success, read) = runtime.block_on(async {
        let reading = runtime.spawn(async move {
            let mut items = Vec::new();
            for pause in pauses.into_iter().cycle() {
                for _ in 0..pause {
                    tokio::task::yield_now().await;
                }
                if leaves_after.is_some_and(|most| items.len() >= most) {
                    return (items, None);
                }
                match stream.next().await {
                    Some(item) => items.push(item),
                    None => break,
                }
            }
            let counts = stream.counts();
            (items, Some(counts))
        });
        (run.await.is_success(), reading.await.unwrap())
    });
    prop_assert!(success);
    let (items, counts) = read;
    let (offered, missed) = walk(&items, id)?;
    let Some(counts) = counts else { return Ok(()) };
    prop_assert_eq!(
        (counts.offered, counts.missed, counts.unread),
        (offered, missed, 0)
    );
    prop_assert_eq!(counts.delivered + counts.missed, counts.offered);
    prop_assert_eq!(offered, expected(writers, reader.tier));
    let all_send = writers.iter().all(|writer| writer.sends);
    if reader.waits && all_send && reader.tier != Tier::Debug {
        prop_assert_eq!(missed, 0);
    }
    let end = items.last().and_then(StreamItem::event);
    prop_assert_eq!(end.map(EventKind::name), Some("run.ended"));
    Ok(())
}

/// Two events of each stage and of the run, and the pieces that belong to the tier.
fn expected(writers: &[Writer], tier: Tier) -> u64 {
    let pieces: u64 = writers.iter().map(|writer| writer.pieces).sum();
    let events = 2 * (writers.len() as u64 + 1) + 2;
    match tier {
        Tier::Lifecycle => events,
        Tier::Chunks => events + pieces,
        _ => events + 2 * pieces,
    }
}

/// Looks at numbers, and at each stage's own order. Gives how many items there were, and how many were missed.
fn walk(items: &[StreamItem], run: RunId) -> Result<(u64, u64), TestCaseError> {
    let (mut next, mut missed) = (0, 0);
    let mut running: HashMap<&str, Option<u64>> = HashMap::new();
    for item in items {
        prop_assert_eq!(item.seq, next);
        prop_assert_eq!(item.run, run);
        next += item.missed().max(1);
        missed += item.missed();
        let path = &*item.path;
        match &item.kind {
            StreamKind::Lifecycle(EventKind::StageStarted { .. }) => {
                prop_assert!(running.insert(path, None).is_none());
            }
            StreamKind::Lifecycle(EventKind::StageEnded { .. }) => {
                prop_assert!(running.remove(path).is_some());
            }
            StreamKind::Chunk(value) => {
                let last = running.get_mut(path);
                prop_assert!(last.is_some(), "{path} streams outside its attempt");
                let value = value.as_u64();
                prop_assert!(last.is_none_or(|last| std::mem::replace(last, value) < value));
            }
            _ => {}
        }
    }
    Ok((next, missed))
}
