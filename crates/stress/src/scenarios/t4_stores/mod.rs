//! Tenants that share a store, a cache, a queue and an engine do not meet.

mod answers;
mod checks;
mod collector;
mod house;
mod kept;
mod look;
mod places;
mod server;
mod trails;
mod visits;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::auth::Authenticate;
use stageflow::context::OrgId;
use stageflow::prelude::*;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber as _;

use super::t4_tenants::ears::Tape;
use crate::stats::jain;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, Trial};
use collector::Mail;
use house::{Badges, House, Mistake};
use kept::Kept;
use look::{Looker, Tally};
use places::{Houses, LENDS_BADGE, NO_POLICIES, Place};
use trails::Clerk;
use visits::{Guest, Reach, Visit, guests, per_org, visits};

/// Where a tenant's own data does come out.
const CHANNELS: [&str; 10] = [
    "events",
    "log",
    "log spans",
    "spans",
    "log records",
    "report",
    "errors",
    "outputs",
    "rows",
    "files",
];

/// And on a server.
const OF_SERVER: [&str; 3] = ["rows of the server", "tables", "in sight"];

/// How many tenants there are, and how many runs each of them starts.
#[derive(Clone, Copy)]
struct Size {
    tenants: usize,
    runs: usize,
}

const FEW: Size = Size {
    tenants: 10,
    runs: 20,
};
const MANY: Size = Size {
    tenants: 1000,
    runs: 10,
};

/// A tenth of the crowd is enough for controls: what they break is broken for any two tenants.
const CONTROL_TENANTS: usize = 100;

pub(super) fn scenario() -> Scenario {
    named("T4-STORES", "tenants that share a store do not meet")
        .tier(Tier::Smoke)
        .expected(Duration::from_secs(10))
        .control(
            Control::own(
                NO_POLICIES,
                "the database's policies are gone while the program runs",
            )
            .where_there_is(|| server::missing().is_none()),
        )
        .control(Control::own(
            LENDS_BADGE,
            "the store is shown the badge of one tenant, whoever comes",
        ))
        .run(|lab| run(lab, FEW, Houses::FilesAndServer))
}

/// The same with a thousand tenants.
pub(super) fn crowd() -> Scenario {
    named(
        "T4-CROWD",
        "a thousand tenants that share a store do not meet",
    )
    .tier(Tier::Weekly)
    .expected(Duration::from_secs(60))
    .run(|lab| run(lab, MANY, Houses::Files))
}

fn named(id: &'static str, title: &'static str) -> Scenario {
    Scenario::new(id, title)
        .proves(
            "no event, log line, span, report, error, output, row or file of a tenant holds what is another's, and no metric \
             what is anybody's; every attempt to reach for it is refused, told of, and in the trail of whoever made it, and whoever \
             looks for another's row finds nothing; one key of a request is each tenant's own; and quotas hold",
        )
        .theme(Theme::Fri)
        .targets(["CORE-010", "SEC-001"])
        .modes(["T1", "T3", "T4", "T6", "T7", "T8"])
        .control(Control::engine("confuses-runs", "events carry the identity of the first run", "ConfuseRuns", 50))
        .control(Control::own("shared-cache", "a cache that orgs share"))
        .control(Control::own("keys-without-org", "what is kept is kept by its key alone"))
        .control(Control::own("shared-answers", "answers are kept by the key of the request alone"))
        .control(Control::own("loses-audit", "one denial in five does not come into its trail"))
        .control(Control::own("silent-denial", "a foreign document is refused without a word"))
        .control(Control::own("trusts-claims", "a badge is taken at its word for any org"))
        .control(Control::own("no-quota", "nobody counts how many runs a tenant has"))
        .control(Control::own("stamps-spans", "an exporter adds to spans what it heard last, whoever said it"))
        .control(Control::own("names-calls", "a call is named after the tenant's data, which makes it a label"))
}

fn run(lab: &mut Lab, size: Size, houses: Houses) -> Result<(), LabError> {
    let most = if lab.is_control() {
        CONTROL_TENANTS
    } else {
        usize::MAX
    };
    let size = Size {
        tenants: size.tenants.min(most),
        ..size
    };
    let mut tally = Tally::default();
    let mut worst = 1.0_f64;
    let cluster = places::cluster(lab, houses)?;
    for place in places::places(lab, cluster.as_ref()) {
        let mut fairness = Vec::new();
        for runtime in lab.runtimes(&[Runtime::Ct, Runtime::Mt4N]) {
            let rounds = lab.scaled(1);
            lab.trials(rounds, |lab, trial| {
                fairness.push(round(lab, (place, runtime), trial, size, &mut tally)?);
                Ok(())
            })?;
        }
        worst = worst.min(mean(&fairness));
    }
    if lab.is_control() || lab.only_trial.is_some() {
        return Ok(());
    }
    let of_server = OF_SERVER.iter().filter(|_| cluster.is_some());
    // A search that finds nothing at all would prove nothing.
    for channel in CHANNELS.iter().chain(of_server) {
        let own = tally.own.get(channel).copied().unwrap_or(0);
        let law = "every channel is looked through";
        lab.check(own > 0, law, Breach::WrongStatus, || {
            format!("{channel} never held a canary")
        });
        lab.metric(&format!("own_in_{channel}"), "canaries", own as f64);
    }
    lab.check(
        tally.series > 0,
        "metrics are kept apart by org",
        Breach::WrongStatus,
        || "no series says which org".to_owned(),
    );
    lab.metric("series_of_orgs", "series", tally.series as f64);
    lab.metric("jain_index", "ratio", worst);
    lab.gate("jain_index", Op::AtLeast, 0.95);
    if size.tenants <= FEW.tenants {
        lab.gate("done_again", Op::AtMost, 0.0);
    }
    lab.metric("leaks_total", "canaries", tally.leaks as f64);
    lab.metric("bytes_scanned", "bytes", tally.bytes as f64);
    Ok(())
}

/// What a place does to a tenant it does in each round; what the machine does, in one of them.
fn mean(fairness: &[f64]) -> f64 {
    if fairness.is_empty() {
        return 1.0;
    }
    fairness.iter().sum::<f64>() / fairness.len() as f64
}

fn mistake(lab: &Lab) -> Mistake {
    match () {
        () if lab.is_broken("shared-answers") => Mistake::Answers,
        () if lab.is_broken("shared-cache") => Mistake::Cache,
        () if lab.is_broken("loses-audit") => Mistake::Loses,
        () if lab.is_broken("keys-without-org") => Mistake::Keys,
        () if lab.is_broken("silent-denial") => Mistake::Silence,
        () if lab.is_broken("trusts-claims") => Mistake::Trust,
        () if lab.is_broken(NO_POLICIES) => Mistake::Policies,
        () if lab.is_broken(LENDS_BADGE) => Mistake::Badge,
        () if lab.is_broken("stamps-spans") => Mistake::Stamp,
        () if lab.is_broken("names-calls") => Mistake::Names,
        () => Mistake::None,
    }
}

/// All tenants' runs at the same time, on one engine. Gives how alike the times are after which each tenant had all of its runs
/// behind it: whoever is served before others has them sooner.
fn round(
    lab: &mut Lab,
    (place, runtime): (Place<'_>, Runtime),
    trial: Trial,
    size: Size,
    tally: &mut Tally,
) -> Result<f64, LabError> {
    let folder = tempfile::tempdir().map_err(LabError::new)?;
    let guests = guests(trial.seed, size.tenants)?;
    let visits = visits(trial.seed, &guests, size.runs);
    let store = lab.on(runtime, place.store(folder.path(), size.tenants))??;
    let house = House::open(store, &guests, mistake(lab))?;
    let tape = Arc::new(Tape::new());
    let pipeline = house.pipeline()?;
    let (reports, denied) = lab.on(runtime, async {
        let clerk = Clerk::start(Arc::<Kept>::clone(&house.store), house.mistake);
        let engine = engine(lab, &house, &tape, &clerk);
        house.move_in(&guests).await?;
        house.break_down().await?;
        let runs = visits
            .iter()
            .map(|visit| watched(&engine, &pipeline, visit).with_subscriber(tape.dispatch()));
        let reports = join_all(runs).await.into_iter();
        let reports = reports.collect::<Result<Vec<_>, _>>()?;
        engine.settled().await;
        clerk.finish().await;
        let denied = clerk.read(lab, &house).await?;
        house.store.leave_runtime().await;
        Ok::<_, LabError>((reports, denied))
    })??;
    lab.count_trials(visits.len() as u64 - 1);
    let mut done = HashMap::<OrgId, f64>::new();
    for (visit, (_, taken)) in visits.iter().zip(&reports) {
        let last = done.entry(visit.guest.org).or_default();
        *last = last.max(*taken);
    }
    let fairness = jain(&done.into_values().collect::<Vec<_>>());
    let recorded = tape.all();
    checks::denials(lab, &house, &visits, &reports, &recorded);
    checks::usage(lab, &house, &visits);
    trails::check(lab, &visits, &denied);
    answers::check(lab, &visits, &house.done());
    let by_org = guests.iter().map(|guest| (guest.org, guest.clone()));
    let by_org: HashMap<OrgId, Guest> = by_org.collect();
    let mut looker = Looker {
        lab,
        guests: &by_org,
        tally,
    };
    looker.events(&recorded);
    looker.lines("log", &tape.lines());
    looker.lines("log spans", &tape.spans());
    let mut owners = HashMap::new();
    for (visit, (report, _)) in visits.iter().zip(&reports) {
        looker.report(visit.guest.org, report);
        owners.insert(report.identity().trace().to_bytes(), visit.guest.org);
    }
    let mail = Mail {
        recorded: &recorded,
        owners: &owners,
        ran: &per_org(visits.iter()),
        mistake: house.mistake,
    };
    lab.on(runtime, async {
        collector::look(&mut looker, mail).await?;
        if let Kept::Server(server) = &*house.store {
            // Before the store connects anew: it would see that its wall is down, and say so.
            looker.tables(server).await?;
        }
        looker.rows(&house).await?;
        house.store.close().await;
        Ok::<_, LabError>(())
    })??;
    looker.files(folder.path())?;
    Ok(fairness)
}

fn engine(lab: &Lab, house: &Arc<House>, tape: &Arc<Tape>, clerk: &Arc<Clerk>) -> Engine {
    let cache = Cache::new(const { std::num::NonZeroUsize::new(1 << 16).unwrap() });
    let cache = match house.mistake {
        Mistake::Cache => cache.across_orgs(),
        _ => cache,
    };
    let heard = FanOut::new()
        .to("tape", house.tenants.meter(Arc::clone(tape)))
        .to("trails", Arc::clone(clerk));
    let engine = lab
        .engine()
        // What belongs to a tenant looks like a secret: left out, it could not be found where it must not be.
        .redaction(Redaction::off())
        .admit(Authenticate::with(Badges(house.mistake)))
        .intercept(cache)
        .intercept(Trace::new())
        .events(heard)
        .blocking_threshold(Duration::from_secs(3600));
    let engine = answers::keep(engine, Arc::<Kept>::clone(&house.store), house.mistake);
    if lab.is_broken("no-quota") {
        return engine.build();
    }
    engine.admit(house.tenants.admission()).build()
}

async fn watched(
    engine: &Engine,
    pipeline: &Pipeline<Visit, String>,
    visit: &Visit,
) -> Result<(RunReport<String>, f64), LabError> {
    let began = Instant::now();
    let asked = match visit.reach {
        Reach::ForeignOrg => visit.other,
        _ => visit.guest.org,
    };
    let badge = format!("{} {asked}", visit.guest.org);
    let options = RunOptions::new()
        .org(asked)
        .idempotency(answers::key(visit)?)
        .credentials(Credentials::bearer(badge));
    let report = engine.run(pipeline, visit.clone(), options).await;
    Ok((report, began.elapsed().as_secs_f64()))
}
