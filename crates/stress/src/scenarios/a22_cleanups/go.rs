//! Runs a list of cleanups.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stageflow::events::CleanupEnded;
use stageflow::prelude::*;
use stageflow_testkit::{RecordingSink, script};
use tokio::time::Instant;

use super::fate::{Before, Deed};
use crate::ledger::resources::{Keeper, Resources, Stamps, Token};

/// What was seen of one run.
pub(super) struct Seen {
    pub(super) resources: Resources,
    pub(super) stamps: Stamps,
    pub(super) outcome: Outcome,
    pub(super) told: Vec<CleanupEnded>,
    pub(super) by_events: usize,
    pub(super) took: Duration,
    pub(super) tasks: usize,
    pub(super) returned: u64,
    pub(super) most_at_once: usize,
}

pub(super) async fn go(
    swapped: bool,
    engine: &Engine,
    sink: &RecordingSink,
    deeds: &[Deed],
    before: Before,
) -> Seen {
    sink.clear();
    let stamps = Stamps::default();
    let resources = Resources::new(&stamps);
    let at_once = Arc::new(Mutex::new((0, 0)));
    let pipeline = pipeline(deeds, before, &resources, &at_once, swapped);
    let Ok(pipeline) = pipeline else {
        panic!("a chain of two stages is a pipeline");
    };
    let started = Instant::now();
    let run = engine.run(&pipeline, (), RunOptions::new());
    let handle = run.handle();
    let cancel = async {
        if before == Before::Cancel {
            tokio::time::sleep(Duration::from_millis(100)).await;
            handle.cancel("enough");
        }
    };
    let ended = async {
        let report = run.await;
        (report, stamps.next(), Instant::now(), engine.live_tasks())
    };
    let ((report, returned, at, tasks), ()) = tokio::join!(ended, cancel);
    let of_cleanups = sink
        .names()
        .into_iter()
        .filter(|name| name == "cleanup.ended");
    let most_at_once = at_once.lock().unwrap_or_else(PoisonError::into_inner).1;
    Seen {
        outcome: report.outcome(),
        told: report.cleanups().to_vec(),
        by_events: of_cleanups.count(),
        took: at - started,
        tasks,
        returned,
        most_at_once,
        resources,
        stamps,
    }
}

type AtOnce = Arc<Mutex<(usize, usize)>>;

/// One stage registers all cleanups, another ends the run.
fn pipeline(
    deeds: &[Deed],
    before: Before,
    resources: &Resources,
    at_once: &AtOnce,
    swapped: bool,
) -> Result<Pipeline<(), u32>, stageflow::graph::BuildError> {
    let mut order: Vec<(usize, Deed)> = deeds.iter().copied().enumerate().collect();
    let middle = order.len().saturating_sub(20);
    if swapped && order.len() > middle + 1 {
        order.swap(middle, middle + 1);
    }
    let (resources, at_once) = (resources.clone(), Arc::clone(at_once));
    let register = move |cx: StageCx, _input: Arc<()>| {
        // Acquired in the order of their numbers; registered in that order, too, unless a control swaps two.
        let token = |(number, _): &(usize, Deed)| {
            resources.acquire(*number, format!("c{number}"), Keeper::Cleanup)
        };
        let mut sorted = order.clone();
        sorted.sort_unstable_by_key(|(number, _)| *number);
        let mut tokens: Vec<_> = sorted.iter().map(|one| Some(token(one))).collect();
        for (number, deed) in &order {
            if let Some(token) = tokens[*number].take() {
                register_one(&cx, *number, *deed, token, Arc::clone(&at_once));
            }
        }
        std::future::ready(Ok(7_u32))
    };
    let long = Duration::from_secs(1000);
    let limit = Duration::from_millis(100);
    let last = match before {
        Before::Success => script::ok(8),
        Before::Failure => script::fail("it was to fail"),
        Before::Limit | Before::Cancel => script::ok(8).taking(long),
    };
    let mut p = Pipeline::builder("many");
    let input = p.input::<()>();
    let first = p.stage("register", stage_fn(register)).after(input);
    let last = match before {
        Before::Limit => p.stage("last", last).timeout(limit).after(first),
        _ => p.stage("last", last).after(first),
    };
    p.output(last).build()
}

fn register_one(cx: &StageCx, number: usize, deed: Deed, token: Token, at_once: AtOnce) {
    cx.on_cleanup(format!("c{number}"), move || async move {
        token.begin();
        {
            let mut counts = at_once.lock().unwrap_or_else(PoisonError::into_inner);
            counts.0 += 1;
            counts.1 = counts.1.max(counts.0);
        }
        match deed.length() {
            None => std::future::pending().await,
            Some(0) => {}
            Some(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
        }
        at_once.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
        token.release();
        match deed {
            Deed::Fails(_) => Err("it was to fail"),
            Deed::Panics(_) => resume_unwind(Box::new("it was to panic")),
            Deed::Takes(_) | Deed::Hangs => Ok(()),
        }
    });
}
