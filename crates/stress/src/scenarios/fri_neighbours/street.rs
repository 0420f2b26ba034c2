//! Quiet tenants and a loud one, at one engine and one store.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all, try_join_all};
use stageflow::context::{OrgId, SeededIds};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, TenantScope, Tenants, Tier};
use stageflow_store::{Class, Row, SqliteOptions, SqliteStore, Store as _, Write};
use tokio::time::{Instant, sleep};

use super::super::fri_quotas::door;
use crate::stats::quantile;
use crate::{Lab, LabError, Seed};

const QUIET: usize = 4;
/// So many runs the loud one offers at any moment, where a quiet one offers one.
const LOUD: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// So many runs at a time: those of the quiet ones, and as many again.
const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// What a run waits for besides the store.
const WORK: Duration = Duration::from_millis(2);

pub(super) struct Street {
    orgs: Vec<OrgId>,
    engine: Engine,
    store: SqliteStore,
    pipeline: Pipeline<u64, u64>,
    /// So many of each quiet one are a look at it.
    at_a_look: usize,
    runs: AtomicU64,
}

impl Street {
    pub(super) fn open(
        lab: &Lab,
        seed: Seed,
        folder: &Path,
        at_a_look: usize,
    ) -> Result<Self, LabError> {
        let ids = SeededIds::new(seed.get());
        let orgs: Vec<OrgId> = (0..=QUIET).map(|_| OrgId::generate(&ids)).collect();
        let store = SqliteStore::open(folder, SqliteOptions::new()).map_err(LabError::new)?;
        let builder = Tenants::builder()
            .runs_at_a_time(AT_A_TIME)
            .tier(Tier::new("all").quota(Quota::new().queue(LOUD)));
        let builder = orgs
            .iter()
            .fold(builder, |builder, org| builder.tenant(*org, "all"));
        let tenants = builder.build().map_err(LabError::new)?;
        let engine = lab.engine().blocking_threshold(Duration::from_secs(3600));
        Ok(Self {
            engine: door::keep(lab, engine, &tenants, &orgs, AT_A_TIME).build(),
            pipeline: pipeline(&store)?,
            at_a_look,
            runs: AtomicU64::new(0),
            orgs,
            store,
        })
    }

    /// How many runs there were, of all.
    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// The p99 of each quiet tenant's runs, in milliseconds: all of them at it, and nobody else.
    pub(super) async fn tails(&self) -> Result<Vec<f64>, LabError> {
        try_join_all(self.orgs[1..].iter().map(|org| self.tail(*org))).await
    }

    /// The same beside the loud one.
    pub(super) async fn tails_in_a_storm(&self) -> Result<Vec<f64>, LabError> {
        let is_over = AtomicBool::new(false);
        let storm = join_all((0..LOUD.get()).map(|_| async {
            while !is_over.load(Ordering::Relaxed) {
                self.run(self.orgs[0]).await?;
            }
            Ok::<_, LabError>(())
        }));
        let looked = async {
            let tails = self.tails().await;
            is_over.store(true, Ordering::Relaxed);
            tails
        };
        let (tails, storm) = join(looked, storm).await;
        storm.into_iter().collect::<Result<(), _>>()?;
        tails
    }

    pub(super) async fn close(&self) {
        self.engine.settled().await;
        self.store.close().await;
    }

    async fn tail(&self, org: OrgId) -> Result<f64, LabError> {
        let mut took = Vec::with_capacity(self.at_a_look);
        for _ in 0..self.at_a_look {
            let began = Instant::now();
            self.run(org).await?;
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(quantile(&took, 0.99))
    }

    async fn run(&self, org: OrgId) -> Result<(), LabError> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let options = RunOptions::new().org(org);
        let report = self.engine.run(&self.pipeline, number, options).await;
        report
            .output()
            .map(|_| ())
            .map_err(|error| LabError::new(error.to_string()))
    }
}

/// One stage that waits, writes a row, and reads it again.
fn pipeline(store: &SqliteStore) -> Result<Pipeline<u64, u64>, LabError> {
    let store = store.clone();
    let work = stage_fn(move |cx: StageCx, number: Arc<u64>| {
        let store = store.clone();
        async move {
            sleep(WORK).await;
            let shelf = store.open(&TenantScope::of(&cx)?).await?;
            let key = format!("note {}", *number % 16);
            let (class, row) = (
                Class::Documents,
                Row::new(key.clone(), 1, number.to_string()),
            );
            shelf.commit(vec![Write::Put { class, row }]).await?;
            let kept = shelf.get(Class::Documents, &key).await?;
            kept.map(|_| *number)
                .ok_or_else(|| Stop::fail("a row is gone"))
        }
    });
    let mut p = Pipeline::builder("keep");
    let number = p.input::<u64>();
    let kept = p.stage("keep", work).after(number);
    p.output(kept).build().map_err(LabError::new)
}
