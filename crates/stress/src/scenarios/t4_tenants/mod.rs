//! Tenants that share an engine, a sink, and a pipeline do not meet.

pub(super) mod ears;
mod scan;
mod shop;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use rand::RngExt as _;
use serde_json::json;
use stageflow::context::{OrgId, RunIdentity};
use stageflow::prelude::*;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::t2_correlation::who;
use crate::ledger::events::{EventLedger, KINDS};
use crate::stats::{jain, median};
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Seed, Theme, Tier, Trial};
use ears::Ears;
use scan::{Owners, Scanner, Tally};
use shop::{Mistake, Order, Parcel, STAGES, Shop, Tenant, Ticket, Twist};

const TENANTS: usize = 10;
const RUNS: usize = 20;

pub(super) fn scenario() -> Scenario {
    Scenario::new("T4-TENANT", "tenants that share an engine do not meet")
        .proves("what belongs to a tenant is in nothing that another one can see, and every record says whose it is")
        .theme(Theme::Fri)
        .tier(Tier::Smoke)
        .targets(["CORE-010", "SEC-001", "OBS-006"])
        .modes(["T1", "T2", "T4", "T5", "T9"])
        .expected(Duration::from_secs(5))
        .control(Control::engine("confuses-runs", "events carry the identity of the first run", "ConfuseRuns", 50))
        .control(Control::engine("loses-events", "an event in 2000 vanishes", "LoseEvent", 2000))
        .control(Control::own("global-tenant", "the process keeps the current tenant in a global"))
        .control(Control::own("error-echo", "an error quotes the tenant that was served last"))
        .control(Control::own("cache-without-org", "a cache whose key does not hold the org"))
        .control(Control::own("no-org", "a run in fifty is started without its org"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    let mut latencies = vec![Vec::new(); TENANTS];
    for runtime in lab.runtimes(&Runtime::ALL) {
        let rounds = lab.scaled(10);
        lab.trials(rounds, |lab, trial| {
            round(lab, runtime, trial, &mut tally, &mut latencies)
        })?;
    }
    if !lab.is_control() && lab.only_trial.is_none() {
        // A scan that finds nothing at all would prove nothing.
        for channel in CHANNELS {
            let own = tally.own.get(channel).copied().unwrap_or(0);
            lab.check(
                own > 0,
                "every channel is scanned",
                Breach::WrongStatus,
                || format!("{channel} never held a canary"),
            );
        }
    }
    let medians: Vec<f64> = latencies.iter().map(|taken| median(taken)).collect();
    lab.samples("tenant_p50_ms", "ms", medians.iter().copied());
    lab.metric("jain_index", "ratio", jain(&medians));
    if lab.only_trial.is_none() {
        lab.gate("jain_index", Op::AtLeast, 0.95);
    }
    lab.metric("leaks_total", "texts", tally.leaks as f64);
    lab.metric("records_without_org", "records", tally.without_org as f64);
    lab.metric("texts_scanned", "texts", tally.scanned as f64);
    lab.metric("bytes_scanned", "bytes", tally.bytes as f64);
    Ok(())
}

/// Where a tenant's own data does come out.
const CHANNELS: [&str; 9] = [
    "event json",
    "event debug",
    "tracing",
    "report",
    "error",
    "cancel reason",
    "cleanups",
    "skip reason",
    "output",
];

/// All tenants' runs at the same time, on one engine.
fn round(
    lab: &mut Lab,
    runtime: Runtime,
    trial: Trial,
    tally: &mut Tally,
    latencies: &mut [Vec<f64>],
) -> Result<(), LabError> {
    let shop = Shop::open(mistake(lab));
    let (patient, hasty) = (shop.pipeline(false)?, shop.pipeline(true)?);
    let ears = Ears::new(EventLedger::of_plan(patient.plan()));
    let engine = lab
        .engine()
        // What belongs to a tenant looks like a secret: left out, it could not be found where it must not be.
        .redaction(Redaction::off())
        .events(Arc::clone(&ears))
        .blocking_threshold(Duration::from_secs(3600))
        .build();
    let orders = orders(lab, trial.seed)?;
    let reports = lab.on(runtime, async {
        let runs = orders.iter().map(|(identity, order)| {
            ears.ledger.announce(identity);
            let pipeline = match order.twist {
                Twist::TimeOut => &hasty,
                _ => &patient,
            };
            watched(&engine, pipeline, identity, order)
        });
        let reports = join_all(runs).await;
        engine.settled().await;
        reports
    })?;
    for (index, ((identity, order), (report, taken))) in orders.iter().zip(&reports).enumerate() {
        match report {
            Some(report) => ears.ledger.settle(report),
            None => ears.ledger.settle_dropped(identity.run_id()),
        }
        if order.twist == Twist::None {
            latencies[index % TENANTS].push(taken * 1e3);
        }
    }
    lab.count_trials(orders.len() as u64 - 1);
    ears.ledger.close();
    ears.ledger.report_to(lab);
    check_counts(lab, &ears, &orders, shop.swept());
    let owners = owners(&orders);
    let mut scanner = Scanner {
        lab,
        owners: &owners,
        tally,
    };
    scanner.events(&ears.tape.all());
    scanner.lines(&ears.tape.lines());
    for ((_, order), (report, _)) in orders.iter().zip(&reports) {
        if let Some(report) = report {
            scanner.report(&order.tenant, report);
        }
    }
    Ok(())
}

fn owners(orders: &[(RunIdentity, Arc<Order>)]) -> Owners {
    let owned = orders.iter();
    owned
        .map(|(identity, order)| (identity.run_id().to_string(), order.tenant.clone()))
        .collect()
}

fn mistake(lab: &Lab) -> Mistake {
    match () {
        () if lab.is_broken("global-tenant") => Mistake::Global,
        () if lab.is_broken("error-echo") => Mistake::Echo,
        () if lab.is_broken("cache-without-org") => Mistake::Cache,
        () => Mistake::None,
    }
}

/// A run and how long it took; without a report if the caller went away.
async fn watched(
    engine: &Engine,
    pipeline: &Pipeline<Ticket, Parcel>,
    identity: &RunIdentity,
    order: &Arc<Order>,
) -> (Option<RunReport<Parcel>>, f64) {
    let began = Instant::now();
    let known = ContextSnapshot::new(identity.clone())
        .with_metadata("canary", json!(order.tenant.canary))
        .unwrap_or_else(|_| ContextSnapshot::new(identity.clone()));
    let known = known.with_input_text(format!("what does {} owe?", order.tenant.canary));
    let options = RunOptions::new().snapshot(known);
    let run = engine.run(pipeline, Ticket(Arc::clone(order)), options);
    // Each order is run once.
    let _first = order.handle.set(run.handle());
    let left = std::pin::pin!(order.left.notified());
    let report = match select(Box::pin(run), left).await {
        Either::Left((report, _)) => Some(report),
        Either::Right(_) => None,
    };
    (report, began.elapsed().as_secs_f64())
}

/// What each tenant orders, shuffled among the others.
fn orders(lab: &Lab, seed: Seed) -> Result<Vec<(RunIdentity, Arc<Order>)>, LabError> {
    let mut orders = Vec::new();
    for index in 0..TENANTS * RUNS {
        let (tenant, mut rng) = (index % TENANTS, seed.child(5000 + index as u64).rng());
        let own = seed.child(tenant as u64);
        // Orgs of a round differ in one bit.
        let org = who::one_bit(seed, tenant as u32)?.org_id();
        let canary = format!("canary{:016x}{:016x}", own.get(), own.child(1).get());
        let identity = who::nearby(seed.child(99), index as u64)?.with_org_id(org);
        let identity = if lab.is_broken("no-org") && index % 50 == 7 {
            identity.with_org_id(None)
        } else {
            identity
        };
        let twist = match rng.random_range(0..16) {
            0 => Twist::Cancelled,
            1 => Twist::Dropped,
            2 | 3 => Twist::Fail,
            4 => Twist::Panic,
            5 => Twist::Skip,
            6 => Twist::StopsTheRun,
            7 => Twist::TimeOut,
            _ => Twist::None,
        };
        let at = match twist {
            Twist::TimeOut => 3,
            _ => rng.random_range(0..STAGES.len()),
        };
        let org = org.ok_or_else(|| LabError::new("an identity without an org"))?;
        let order = Order {
            tenant: Tenant { org, canary },
            at,
            twist,
            handle: OnceLock::new(),
            left: Notify::new(),
        };
        orders.push((identity, Arc::new(order)));
    }
    Ok(orders)
}

/// The events of each org are those of its orders, type by type.
fn check_counts(lab: &Lab, ears: &Ears, orders: &[(RunIdentity, Arc<Order>)], swept: u64) {
    let mut expected: HashMap<OrgId, [u64; KINDS]> = HashMap::new();
    for (_, order) in orders {
        let [started, skipped] = match order.twist {
            Twist::None => [STAGES.len(), 0],
            Twist::Skip => [order.at + 1, STAGES.len() - order.at - 1],
            _ => [order.at + 1, 0],
        }
        .map(|count| count as u64);
        let told = [1, started, 2 * started, started, 0, skipped, started, 1, 0];
        let sums = expected.entry(order.tenant.org).or_default();
        for (sum, count) in sums.iter_mut().zip(told) {
            *sum += count;
        }
    }
    let sums = ears.ledger.sums();
    for (org, expected) in &expected {
        let told = sums.by_org.get(&Some(*org)).copied().unwrap_or_default();
        lab.check(
            told == *expected,
            "each tenant's events are those of its runs",
            Breach::CrossTenant,
            || format!("{org}: {told:?}, should be {expected:?}"),
        );
    }
    let served: u64 = expected.values().map(|told| told[1]).sum();
    lab.check(
        swept == served,
        "every cleanup runs, once",
        Breach::ResourceLeak,
        || format!("{swept} of {served}"),
    );
    let orgs = sums.by_org.len();
    lab.check(
        orgs == TENANTS,
        "no events are of anybody else",
        Breach::CrossTenant,
        || format!("events of {orgs} orgs: {:?}", sums.by_org.keys()),
    );
}
