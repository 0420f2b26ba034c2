//! How long the runs of one tenant take while another offers a hundred times its load.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use stageflow::context::{OrgId, SystemIds};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};

/// So many runs of the quiet tenant are measured, one after the other.
const RUNS: usize = 300;
/// So many runs the loud one offers at any moment, where the quiet one offers one.
const LOUD: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// So many are let in at a time, of both.
const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(16).unwrap();
const WORK: Duration = Duration::from_millis(2);

/// What the 99th of a hundred runs takes.
pub(crate) struct Tail {
    pub(crate) alone: Duration,
    pub(crate) beside: Duration,
}

/// The quiet tenant by itself, and then beside the loud one.
pub(crate) async fn tail() -> Tail {
    let ids = SystemIds::new();
    let (quiet, loud) = (OrgId::generate(&ids), OrgId::generate(&ids));
    let engine = engine(quiet, loud);
    let pipeline = pipeline();
    let alone = p99(&engine, &pipeline, quiet).await;
    let is_over = AtomicBool::new(false);
    let noise = join_all((0..LOUD.get()).map(|_| async {
        while !is_over.load(Ordering::Relaxed) {
            run(&engine, &pipeline, loud).await;
        }
    }));
    let measured = async {
        let beside = p99(&engine, &pipeline, quiet).await;
        is_over.store(true, Ordering::Relaxed);
        beside
    };
    let (beside, _) = join(measured, noise).await;
    Tail { alone, beside }
}

async fn p99(engine: &Engine, pipeline: &Pipeline<u64, u64>, org: OrgId) -> Duration {
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let began = Instant::now();
        run(engine, pipeline, org).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[RUNS * 99 / 100]
}

async fn run(engine: &Engine, pipeline: &Pipeline<u64, u64>, org: OrgId) {
    let report = engine.run(pipeline, 0, RunOptions::new().org(org)).await;
    assert!(report.is_success(), "{report:?}");
}

#[expect(
    clippy::expect_used,
    reason = "a bench without its registry measures nothing"
)]
fn engine(quiet: OrgId, loud: OrgId) -> Engine {
    let tenants = Tenants::builder()
        .tier(Tier::new("pro").quota(Quota::new().queue(LOUD)))
        .runs_at_a_time(AT_A_TIME)
        .tenant(quiet, "pro")
        .tenant(loud, "pro")
        .build()
        .expect("one tier and two tenants");
    Engine::builder().admit(tenants.admission()).build()
}

#[expect(
    clippy::expect_used,
    reason = "a bench without its pipeline measures nothing"
)]
fn pipeline() -> Pipeline<u64, u64> {
    let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(WORK).await;
        Ok(*n)
    });
    let mut p = Pipeline::builder("one");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().expect("one stage")
}
