//! One tenant storms, the others work.

pub(super) mod door;
mod tails;
mod town;

use std::collections::HashMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use stageflow::context::OrgId;
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, TenantUsage, Tenants, Tier};
use tokio::time::{Instant, sleep_until};

use crate::stats::jain;
use crate::{Breach, Control, Lab, LabError, Op, Scenario, Seed, Theme, Tier as Pace};
use town::Town;

const TENANTS: usize = 1000;
const RUNS: usize = 10;
/// So many runs the tenant starts that storms, all at once.
const STORM: usize = 100 * RUNS;
/// So many runs of a tenant at a time.
const OWN: usize = 4;
/// So many runs of a tenant may wait.
const QUEUE: usize = 500;
/// So many runs at a time: the others need two thirds of it.
const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(10).unwrap();
/// So many tokens each tenant may use: the one that storms has none left before its runs are through.
const TOKENS: u64 = 12_000;
/// When runs are started.
const DAY: Duration = Duration::from_secs(60);

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-QUOTAS", "one tenant storms, the others work")
        .proves(
            "no quota is overrun, nothing starts for a tenant without tokens, the books of every tenant are those of whoever \
             counts along, and a tenant that starts a hundred times as much moves the tail of no other by more than half",
        )
        .theme(Theme::Fri)
        .tier(Pace::Smoke)
        .targets(["SEC-001"])
        .modes(["T7", "T8"])
        .expected(Duration::from_secs(3))
        .control(Control::own("fifo", "lets in whoever came first, whoever it is"))
        .control(Control::own("leak", "one place in two hundred does not come back"))
        .control(Control::own("off-by-one", "one more of each tenant than its quota says"))
        .control(Control::own("starves-one", "one tenant of all lets the one that storms go first"))
        .control(Control::own("unmetered", "what runs use is not their tenant's"))
        .run(run)
}

/// How a run went.
struct Ride {
    org: OrgId,
    storms: bool,
    /// From its start to its end.
    took: Duration,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    Well,
    Refused,
    Badly,
}

/// What came of a day.
struct Day {
    rides: Vec<Ride>,
    usages: HashMap<OrgId, TenantUsage>,
    overruns: usize,
    /// What each has used, as the runs themselves count it.
    used: HashMap<OrgId, u64>,
    too_late: usize,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    lab.trials(lab.scaled(1), |lab, trial| {
        let calm = day(lab, trial.seed, false)?;
        let stormy = day(lab, trial.seed, true)?;
        lab.count_trials((calm.rides.len() + stormy.rides.len()) as u64);
        for day in [&calm, &stormy] {
            judge(lab, day);
            judge_tokens(lab, day);
        }
        compare(lab, &calm, &stormy);
        tails::compare(lab, trial.seed)
    })
}

fn tenants(lab: &Lab, town: &Town) -> Result<Tenants, LabError> {
    let own = OWN + usize::from(lab.is_broken("off-by-one"));
    let size = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
    let tokens = NonZeroU64::new(TOKENS).unwrap_or(NonZeroU64::MIN);
    let quota = Quota::new().runs(size(own)).queue(size(QUEUE));
    let quota = quota.tokens(tokens);
    let mut builder = Tenants::builder()
        .runs_at_a_time(AT_A_TIME)
        .tier(Tier::new("all").quota(quota));
    for org in town.orgs() {
        builder = builder.tenant(*org, "all");
    }
    builder.build().map_err(LabError::new)
}

/// A minute: the same runs of the others, with the storm or without.
fn day(lab: &mut Lab, seed: Seed, storms: bool) -> Result<Day, LabError> {
    let town = Town::new(TENANTS + 1, OWN, AT_A_TIME.get(), TOKENS);
    let tenants = tenants(lab, &town)?;
    let engine = lab.engine().blocking_threshold(Duration::from_secs(3600));
    let engine = door::keep(lab, engine, &tenants, town.orgs(), AT_A_TIME).build();
    let pipeline = town.pipeline()?;
    let mut rng = seed.rng();
    let mut starts = Vec::new();
    for org in 1..=TENANTS {
        for _ in 0..RUNS {
            let at = rng.random_range(0..DAY.as_millis() as u64);
            starts.push((org, at, rng.random_range(20..60)));
        }
    }
    if storms {
        let at = DAY.as_millis() as u64 / 4;
        starts.extend((0..STORM).map(|_| (0, at, rng.random_range(20..60))));
    }
    let rides = lab.paused(async {
        let began = Instant::now();
        let runs = starts.iter().map(|(org, at, takes)| {
            let (engine, pipeline, org_id) = (&engine, &pipeline, town.orgs()[*org]);
            async move {
                sleep_until(began + Duration::from_millis(*at)).await;
                let options = RunOptions::new().org(org_id);
                let report = engine.run(pipeline, (*org, *takes), options).await;
                Ride {
                    org: org_id,
                    storms: *org == 0,
                    took: began.elapsed() - Duration::from_millis(*at),
                    ended: ended(&report),
                }
            }
        });
        join_all(runs).await
    });
    let usages = tenants.usages().into_iter();
    Ok(Day {
        rides,
        usages: usages
            .map(|(tenant, usage)| (tenant.org(), usage))
            .collect(),
        overruns: town.overruns(),
        used: town.used().collect(),
        too_late: town.too_late(),
    })
}

fn ended(report: &RunReport<u64>) -> Ended {
    match report.output() {
        Ok(_) => Ended::Well,
        Err(error) if matches!(error.kind(), RunErrorKind::NotAdmitted(_)) => Ended::Refused,
        Err(_) => Ended::Badly,
    }
}

/// No quota is overrun, and the books are those of whoever counts along.
fn judge(lab: &Lab, day: &Day) {
    lab.metric("quota_overruns", "runs", day.overruns as f64);
    lab.check(
        day.overruns == 0,
        "no tenant has more runs at a time than its quota says, and all together no more than there is room for",
        Breach::WrongStatus,
        || format!("{} times", day.overruns),
    );
    let lost = day
        .rides
        .iter()
        .filter(|ride| !ride.storms && ride.ended != Ended::Well);
    let lost = lost.count();
    lab.check(
        lost == 0,
        "nobody else is refused",
        Breach::WrongStatus,
        || format!("{lost} runs of tenants that do not storm did not end well"),
    );
    let is_fifo = lab.is_broken("fifo");
    for (org, usage) in day.usages.iter().filter(|_| !is_fifo) {
        let count = |ended| {
            let mine = day.rides.iter().filter(|ride| ride.org == *org);
            mine.filter(|ride| ride.ended == ended).count() as u64
        };
        // Counting over and over is slow: only those that can differ.
        if usage.runs.finished == RUNS as u64 && usage.refused.is_empty() && usage.runs.running == 0
        {
            continue;
        }
        let books = (
            usage.runs.finished,
            usage.refused_in_all(),
            usage.runs.running,
        );
        let told = (
            count(Ended::Well) + count(Ended::Badly),
            count(Ended::Refused),
            0,
        );
        lab.check(
            books == told,
            "every run is in the books once",
            Breach::Lost,
            || format!("{org}: {books:?} in the books, {told:?} as they ended"),
        );
        lab.check(
            usage.runs.peak_running <= OWN && usage.runs.peak_waiting <= QUEUE,
            "the books know of no overrun either",
            Breach::WrongStatus,
            || format!("{usage:?}"),
        );
    }
}

/// Nothing starts without tokens, and what is in the books is what the calls have said.
fn judge_tokens(lab: &Lab, day: &Day) {
    lab.metric("too_late", "runs", day.too_late as f64);
    lab.check(
        day.too_late == 0,
        "nothing starts for a tenant that has used up its tokens",
        Breach::WrongStatus,
        || format!("{} runs", day.too_late),
    );
    if lab.is_broken("fifo") {
        return;
    }
    let told = |org| day.used.get(org).copied().unwrap_or_default();
    let usages = day.usages.iter();
    let wrong = usages.filter(|(org, usage)| usage.spent.tokens != told(org));
    let wrong: Vec<String> = wrong
        .map(|(org, usage)| format!("{org}: {} and {}", usage.spent.tokens, told(org)))
        .collect();
    lab.check(
        wrong.is_empty(),
        "what the books say was used is what the calls have said",
        Breach::WrongStatus,
        || format!("{} tenants, such as {:?}", wrong.len(), wrong.first()),
    );
}

/// The others, with the storm and without, side by side. Ten runs are too few for a tail: each has all of its runs looked at.
fn compare(lab: &Lab, calm: &Day, stormy: &Day) {
    let slowest = |day: &Day| {
        let others = day.rides.iter().filter(|ride| !ride.storms);
        let took = others.map(|ride| ride.took.as_secs_f64() * 1e3);
        took.fold(0.0, f64::max)
    };
    let (before, after) = (slowest(calm), slowest(stormy));
    lab.metric("slowest_calm_ms", "ms", before);
    lab.metric("slowest_storm_ms", "ms", after);
    lab.metric("slowest_ratio", "ratio", after / before);
    let fair = fairness(stormy);
    lab.metric("jain_index", "ratio", fair);
    lab.gate("jain_index", Op::AtLeast, 0.95);
    let refused = stormy
        .rides
        .iter()
        .filter(|ride| ride.ended == Ended::Refused);
    lab.metric("refused", "runs", refused.count() as f64);
}

/// How alike the others are served: whether the runs of each take as long as those of any other.
fn fairness(day: &Day) -> f64 {
    let mut took: HashMap<OrgId, f64> = HashMap::new();
    for ride in day.rides.iter().filter(|ride| !ride.storms) {
        *took.entry(ride.org).or_default() += ride.took.as_secs_f64();
    }
    jain(&took.into_values().collect::<Vec<_>>())
}
