//! The pipeline that all tenants share: every word a stage says or leaves behind holds its tenant's canary.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;
use stageflow::context::OrgId;
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::LabError;

pub(super) const STAGES: [&str; 5] = ["enrich", "cached", "render", "risky", "tool"];

/// Somebody whose data must not be seen by the others.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) org: OrgId,
    /// `canary` and 128 random bits.
    pub(super) canary: String,
}

/// One run.
pub(super) struct Order {
    pub(super) tenant: Tenant,
    pub(super) at: usize,
    pub(super) twist: Twist,
    pub(super) handle: OnceLock<RunHandle>,
    /// Rung when the stage is reached at which the caller goes away.
    pub(super) left: Notify,
}

/// What a run is started with.
pub(super) struct Ticket(pub(super) Arc<Order>);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    Cancelled,
    Dropped,
    Fail,
    None,
    Panic,
    Skip,
    StopsTheRun,
    TimeOut,
}

/// What a stage gives.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) canary: String,
}

/// How the shop mixes tenants up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A cache whose key has no org.
    Cache,
    /// Error texts that quote what was seen last.
    Echo,
    /// A current tenant for the whole process.
    Global,
    None,
}

/// What all runs share.
pub(super) struct Shop {
    pub(super) mistake: Mistake,
    current: Mutex<String>,
    cache: OnceLock<String>,
    swept: AtomicU64,
}

impl Shop {
    pub(super) fn open(mistake: Mistake) -> Arc<Self> {
        Arc::new(Self {
            mistake,
            current: Mutex::default(),
            cache: OnceLock::new(),
            swept: AtomicU64::new(0),
        })
    }

    /// How many cleanups have run.
    pub(super) fn swept(&self) -> u64 {
        self.swept.load(Ordering::Relaxed)
    }

    fn enter(&self, canary: &str) {
        if self.mistake != Mistake::None {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            canary.clone_into(&mut current);
        }
    }

    /// Whose turn it is, as a careless program sees it.
    fn current(&self, own: &str, careless: Mistake) -> String {
        if self.mistake != careless {
            return own.to_owned();
        }
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn cached(&self, own: &str) -> String {
        if self.mistake != Mistake::Cache {
            return own.to_owned();
        }
        self.cache.get_or_init(|| own.to_owned()).clone()
    }

    /// The pipeline; `risky` has little time if `hasty`.
    pub(super) fn pipeline(
        self: &Arc<Self>,
        hasty: bool,
    ) -> Result<Pipeline<Ticket, Parcel>, LabError> {
        let mut p = Pipeline::builder("shop");
        let order = p.input::<Ticket>();
        let shop = Arc::clone(self);
        let first = stage_fn(move |cx, order: Arc<Ticket>| serve(cx, 0, order, Arc::clone(&shop)));
        let mut last = p.stage(STAGES[0], first).after(order);
        for (index, name) in STAGES.into_iter().enumerate().skip(1) {
            let shop = Arc::clone(self);
            let stage = p.stage(
                name,
                stage_fn(move |cx, (order, _before): (Arc<Ticket>, Arc<Parcel>)| {
                    serve(cx, index, order, Arc::clone(&shop))
                }),
            );
            last = match name {
                "cached" => stage.spawn().after((order, last)),
                "render" => stage.blocking().after((order, last)),
                "risky" if hasty => stage
                    .timeout(Duration::from_millis(10))
                    .after((order, last)),
                _ => stage.after((order, last)),
            };
        }
        p.output(last).build().map_err(LabError::new)
    }
}

async fn serve(
    cx: StageCx,
    index: usize,
    ticket: Arc<Ticket>,
    shop: Arc<Shop>,
) -> Result<Parcel, Stop> {
    let order = &ticket.0;
    let canary = order.tenant.canary.clone();
    shop.enter(&canary);
    let sweeper = Arc::clone(&shop);
    cx.on_cleanup(format!("sweep up after {canary}"), move || async move {
        sweeper.swept.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(std::io::Error::other("a broom broke"))
    });
    cx.record(&format!("{}/{canary}", STAGES[index]), canary.clone())?;
    let known = cx.snapshot().metadata().get("canary").cloned();
    let said = shop.current(&canary, Mistake::None);
    cx.try_emit("shop.served", json!({ "by": said, "known": known }))?;
    yield_now().await;
    let said = shop.current(&canary, Mistake::Global);
    cx.try_emit(
        "shop.done",
        json!({ "by": said, "notes": [&canary, { "deep": &canary }] }),
    )?;
    if index == order.at {
        twist(order, &shop.current(&canary, Mistake::Echo)).await?;
    }
    let canary = match STAGES[index] {
        "cached" => shop.cached(&canary),
        _ => canary,
    };
    Ok(Parcel { canary })
}

async fn twist(order: &Order, canary: &str) -> Result<(), Stop> {
    match order.twist {
        Twist::Cancelled => {
            let reason = format!("{canary} changed its mind");
            order.handle.get().map(|run| run.cancel(reason));
            std::future::pending().await
        }
        Twist::Dropped => {
            order.left.notify_one();
            std::future::pending().await
        }
        Twist::Fail => {
            let cause = std::io::Error::other(format!("no such account: {canary}"));
            Err(Stop::fail(Charge(canary.to_owned(), cause)))
        }
        Twist::None => Ok(()),
        Twist::Panic => resume_unwind(Box::new(format!("index out of {canary}"))),
        Twist::Skip => Err(Stop::skip(format!("nothing to do for {canary}"))),
        Twist::StopsTheRun => Err(Stop::cancel(format!("{canary} is closed"))),
        Twist::TimeOut => std::future::pending().await,
    }
}

/// An error with a cause, both of which name the tenant.
#[derive(Debug, thiserror::Error)]
#[error("{0} cannot be charged")]
struct Charge(String, #[source] std::io::Error);
