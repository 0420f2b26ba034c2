//! Runs that come back under their ids.

use futures_util::future::try_join_all;
use stageflow_context::{CorrelationId, OrgId, RunId, SystemIds};

use super::bench::{Bench, Found, expect, scope_of, text};
use crate::{Class, RunRecord, Runs, Scan, Store};

fn record(run: RunId, started_at: u64, pipeline: &str) -> RunRecord {
    RunRecord {
        run,
        pipeline: pipeline.to_owned(),
        outcome: "failed".to_owned(),
        reason: None,
        started_at,
        took_us: 1,
        user: None,
        correlation: CorrelationId::from(run),
        parent: None,
    }
}

/// How each of them is called.
fn names(records: &[RunRecord]) -> Vec<&str> {
    records.iter().map(|record| &*record.pipeline).collect()
}

/// Whoever told of it first, second and third, at the same time, and again.
pub(super) async fn beside_each_other<S: Store>(bench: &Bench<S>) -> Found {
    let scope = scope_of(OrgId::generate(&SystemIds::new()), None);
    let runs = Runs::open(&bench.store, &scope).await.map_err(text)?;
    let mut ids = [(); 3].map(|()| RunId::generate(&SystemIds::new()));
    ids.sort();
    let [old, back, new] = ids;
    let one = record(back, 10, "one");
    let two = record(back, 20, "two");
    let late = record(back, 5, "late");
    for only in [&one, &record(old, 1, "old"), &record(new, 30, "new")] {
        runs.record(only).await.map_err(text)?;
    }
    // From several programs at a time, and each of them twice; two of them began at the same time.
    let same = record(back, 20, "same");
    let all = [&two, &late, &one, &two, &same, &late];
    let told = all.map(|record| runs.record(record));
    try_join_all(told).await.map_err(text)?;
    let lives = runs.lives(back).await.map_err(text)?;
    expect("lives", &lives.len(), &4)?;
    expect("the first lives", &names(&lives[..2]), &vec!["late", "one"])?;
    let mut last = names(&lives[2..]);
    expect(
        "the last life",
        &runs.get(back).await.map_err(text)?.as_ref(),
        &lives.last(),
    )?;
    let newest = last.last().copied().unwrap_or_default();
    for most in 1..=4 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = runs.newest(after, most).await.map_err(text)?;
            let Some(end) = page.last() else { break };
            after = Some(end.run);
            listed.extend(page);
        }
        expect(
            "each run once",
            &names(&listed),
            &vec!["new", newest, "old"],
        )?;
    }
    last.sort_unstable();
    expect("the other lives", &last, &vec!["same", "two"])?;
    let shelf = bench.store.open(&scope).await.map_err(text)?;
    let rows = shelf.scan(Scan::of(Class::Runs)).await.map_err(text)?;
    expect("rows", &rows.len(), &6)
}
