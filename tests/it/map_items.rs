//! Maps: what they go over, many items, and who else has a turn meanwhile.

use std::sync::Arc;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Probe, paused, script};

use crate::support::{Lab, PLACEMENTS, placed, texts};

fn numbers(count: u64) -> Vec<Arc<u64>> {
    (0..count).map(Arc::new).collect()
}

#[test]
fn maps_nest_and_their_parts_say_where_they_are() {
    paused(async {
        let lab = Lab::new();
        let paths = stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.try_emit("seen", serde_json::json!(*n))?;
            Ok(cx.path())
        });
        let rows = vec![Arc::new(numbers(2)), Arc::new(numbers(1))];
        let mut p = Pipeline::builder("nested");
        let input = p.input::<Vec<Arc<Vec<Arc<u64>>>>>();
        let inner = map::<_, Arc<Vec<Arc<u64>>>>(paths);
        let outer = p.stage("outer", map(inner)).after(input);
        let pipeline = p.output(outer).build().unwrap();
        let report = lab.engine.run(&pipeline, rows, RunOptions::new()).await;
        let paths = texts(report.output().unwrap().iter().flat_map(|row| row.iter()));
        assert_eq!(paths, ["outer[0][0]", "outer[0][1]", "outer[1][0]"]);
        assert_eq!(report.stage("outer").unwrap().parts().started, 5);
        let events = lab.events();
        for wanted in ["outer[1][0] started 1", "outer[1][0] says seen 0"] {
            assert!(events.contains(&wanted.to_owned()), "{events:?}");
        }
    });
}

#[test]
fn items_arrive_without_a_clone_and_from_many_handles() {
    struct Page(&'static str);
    paused(async {
        let engine = Engine::new();
        let lengths = stage_fn(async |_cx: StageCx, page: Item<Page>| Ok(page.0.len()));
        let mut p = Pipeline::builder("pages");
        let pages = p.input::<Vec<Page>>();
        let lengths = p.stage("lengths", map(lengths)).after(pages);
        let sum = p
            .stage("sum", reduce(0, |sum, len: &usize| sum + len))
            .after(lengths);
        let pipeline = p.output(sum).build().unwrap();
        let pages = vec![Page("one"), Page("three")];
        let report = engine.run(&pipeline, pages, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &8);

        let mut p = Pipeline::builder("handles");
        let n = p.input::<u64>();
        let handles: Vec<_> = (0..3)
            .map(|i| p.stage(format!("s{i}"), script::ok(i)).after(n))
            .collect();
        let triple = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok(*n * 3));
        let all = p.stage("all", map(triple)).after(handles);
        let pipeline = p.output(all).build().unwrap();
        let report = engine.run(&pipeline, 0, RunOptions::new()).await;
        let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
        assert_eq!(results, [0, 3, 6]);

        let by_value = stage_fn(async |_cx: StageCx, n: u64| Ok(n + 1));
        let mut p = Pipeline::builder("values");
        let n = p.input::<Vec<u64>>();
        let next = p.stage("next", map(by_value)).after(n);
        let pipeline = p.output(next).build().unwrap();
        let report = engine.run(&pipeline, vec![], RunOptions::new()).await;
        assert!(report.output().unwrap().is_empty());
    });
}

#[test]
fn a_map_of_many_items_lets_other_stages_have_their_turn() {
    const ITEMS: u64 = 20_000;
    for placement in PLACEMENTS {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        runtime.block_on(async {
            let lab = Lab::new();
            let seen = Probe::new();
            let watch = seen.clone();
            let same = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok(*n));
            // Sees how far the map has come when it has had a few turns.
            let beside = stage_fn(move |_cx: StageCx, _n: Arc<Vec<Arc<u64>>>| {
                let seen = watch.clone();
                async move {
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    seen.enter().done();
                    Ok(())
                }
            });
            let mut p = Pipeline::builder("beside");
            let n = p.input::<Vec<Arc<u64>>>();
            let all = placed(p.stage("all", map(same)), placement).after(n);
            let beside = p.stage("beside", beside).after(n);
            let both = stage_fn(
                async |_cx: StageCx, (all, _): (Arc<Vec<Arc<u64>>>, Arc<()>)| Ok(all.len() as u64),
            );
            let both = p.stage("both", both).after((all, beside));
            let pipeline = p.output(both).build().unwrap();
            let report = lab
                .engine
                .run(&pipeline, numbers(ITEMS), RunOptions::new())
                .await;
            assert_eq!(report.output().unwrap(), &ITEMS);
            assert_eq!(report.stage("all").unwrap().parts().succeeded, ITEMS);
            let events = lab.events();
            let place = |what: &str| events.iter().position(|line| line == what).unwrap();
            if placement == Placement::Inline {
                assert!(place("beside succeeded 1") < place("all succeeded 1"));
            }
            let counts = report.events();
            assert_eq!((counts.accepted, counts.dropped), (2 * ITEMS + 8, 0));
        });
    }
}

#[test]
fn a_busy_driver_is_not_buried_under_the_parts_of_a_stage_on_another_worker() {
    const ITEMS: u64 = 20_000;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let lab = Lab::new();
        let done = Probe::new();
        let count = done.clone();
        let same = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            count.enter().done();
            async move { Ok(*n) }
        });
        let far = done.clone();
        let busy = stage_fn(move |_cx: StageCx, _n: Arc<Vec<Arc<u64>>>| {
            // Holds the driver until the map has come to a halt.
            let (mut last, mut same) = (usize::MAX, 0);
            while same < 20_000 {
                std::thread::yield_now();
                same = if far.calls() == last { same + 1 } else { 0 };
                last = far.calls();
            }
            let so_far = last as u64;
            async move { Ok(so_far) }
        });
        let mut p = Pipeline::builder("busy");
        let n = p.input::<Vec<Arc<u64>>>();
        let all = p.stage("all", map(same)).spawn().after(n);
        let busy = p.stage("busy", busy).after(n);
        let both =
            stage_fn(async |_cx: StageCx, (_, busy): (Arc<Vec<Arc<u64>>>, Arc<u64>)| Ok(*busy));
        let both = p.stage("both", both).after((all, busy));
        let pipeline = p.output(both).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(ITEMS), RunOptions::new())
            .await;
        let so_far = *report.output().unwrap();
        assert!(so_far < 5_000, "{so_far} items went on unheard");
        assert_eq!(report.stage("all").unwrap().parts().succeeded, ITEMS);
        lab.assert_nothing_left().await;
    });
}
