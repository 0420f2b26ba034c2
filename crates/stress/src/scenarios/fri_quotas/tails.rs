//! What the neighbour notices whom the storm hits hardest.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier};
use tokio::time::{Instant, sleep_until};

use super::door;
use super::town::Town;
use crate::stats::quantile;
use crate::{Breach, Lab, LabError, Op, Seed};

/// More than a hundred, so that one of them alone is not in the p99 of all.
const NEIGHBOURS: usize = 120;
/// So many runs of each: the p99 of one is its second slowest run.
const RUNS: usize = 100;
/// So many runs the tenant starts that storms, all day long.
const STORM: usize = 100 * RUNS;
/// So many runs at a time: the others need half of it, and the one that storms takes all that it is left.
const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(20).unwrap();
/// So many runs of a tenant may wait.
const QUEUE: NonZeroUsize = NonZeroUsize::new(500).unwrap();
/// When runs are started: each takes 40 ms, as a mean.
const DAY: Duration = Duration::from_millis(2 * 40 * (NEIGHBOURS * RUNS) as u64 / 20);
/// So much longer the tail of the neighbour that is hit hardest may be.
const MOST: f64 = 1.5;
/// Nobody runs out of these.
const TOKENS: u64 = u64::MAX;

/// The tail of each neighbour on a calm day, and on one with a storm that does not end: of the same runs at the same times.
pub(super) fn compare(lab: &mut Lab, seed: Seed) -> Result<(), LabError> {
    let calm = day(lab, seed, 0)?;
    let stormy = day(lab, seed, STORM)?;
    lab.count_trials(2 * (NEIGHBOURS * RUNS) as u64 + STORM as u64);
    let pairs = calm.iter().zip(&stormy).skip(1);
    let ratios: Vec<f64> = pairs.map(|(calm, stormy)| stormy / calm).collect();
    let (place, worst) = ratios
        .iter()
        .copied()
        .enumerate()
        .fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
    lab.samples("tail_ratio", "ratio", ratios.iter().copied());
    lab.metric("worst_tail_ratio", "ratio", worst);
    lab.gate("worst_tail_ratio", Op::AtMost, MOST);
    lab.check(
        worst <= MOST,
        "the tail of the neighbour that is hit hardest grows by half at most",
        Breach::WrongStatus,
        || {
            let (before, after) = (calm[place + 1], stormy[place + 1]);
            format!(
                "neighbour {}: p99 from {before:.1} ms to {after:.1} ms",
                place + 1
            )
        },
    );
    Ok(())
}

/// The p99 of each tenant's runs, in milliseconds; the first is the one that storms.
fn day(lab: &mut Lab, seed: Seed, storm: usize) -> Result<Vec<f64>, LabError> {
    let town = Town::new(NEIGHBOURS + 1, AT_A_TIME.get(), AT_A_TIME.get(), TOKENS);
    let tenants = tenants(&town)?;
    let engine = lab.engine().blocking_threshold(Duration::from_secs(3600));
    let engine = door::keep(lab, engine, &tenants, town.orgs(), AT_A_TIME).build();
    let pipeline = town.pipeline()?;
    let starts = starts(seed, storm);
    let rides = lab.paused(async {
        let began = Instant::now();
        let runs = starts.iter().map(|(org, at, takes)| {
            let (engine, pipeline, org_id) = (&engine, &pipeline, town.orgs()[*org]);
            async move {
                sleep_until(began + *at).await;
                let options = RunOptions::new().org(org_id);
                let report = engine.run(pipeline, (*org, *takes), options).await;
                (*org, began.elapsed() - *at, report.is_success())
            }
        });
        join_all(runs).await
    });
    let refused = rides.iter().filter(|(org, _, well)| *org != 0 && !well);
    let refused = refused.count();
    lab.check(
        refused == 0,
        "nobody else is refused",
        Breach::WrongStatus,
        || format!("{refused} runs of tenants that do not storm did not end well"),
    );
    let mut took = vec![Vec::new(); NEIGHBOURS + 1];
    for (org, ride, _) in rides {
        took[org].push(ride.as_secs_f64() * 1e3);
    }
    Ok(took.iter().map(|took| quantile(took, 0.99)).collect())
}

/// Who starts when, and how many milliseconds it takes.
fn starts(seed: Seed, storm: usize) -> Vec<(usize, Duration, u64)> {
    let mut rng = seed.child(99).rng();
    let neighbours = (0..NEIGHBOURS * RUNS).map(|run| 1 + run % NEIGHBOURS);
    let who = neighbours.chain(std::iter::repeat_n(0, storm));
    who.map(|org| {
        let at = rng.random_range(0..DAY.as_micros() as u64);
        (org, Duration::from_micros(at), rng.random_range(20..60))
    })
    .collect()
}

/// What holds back the one that storms is only whose turn it is.
fn tenants(town: &Town) -> Result<Tenants, LabError> {
    let builder = Tenants::builder()
        .runs_at_a_time(AT_A_TIME)
        .tier(Tier::new("all").quota(Quota::new().queue(QUEUE)));
    let all = town.orgs().iter();
    let builder = all.fold(builder, |builder, org| builder.tenant(*org, "all"));
    builder.build().map_err(LabError::new)
}
