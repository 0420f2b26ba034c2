//! A thousand runs that fail at the same moment, and a dependency that cannot take them all at once.

mod server;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::interceptors::KeyBy;
use stageflow::prelude::*;

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier, Trial};
use server::{Arrival, CAPACITY, Server};

const RUNS: usize = 1000;

pub(super) fn scenario() -> Scenario {
    Scenario::new("A23-STAMPEDE", "a thousand runs fail at the same moment")
        .proves(
            "retries spread out, permanent errors are not tried again, a retry budget adds at most a tenth, and what a server \
             asks for is honoured within bounds",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["WORK-005", "WORK-006", "CHAOS-002"])
        .modes(["R5", "R6"])
        .expected(Duration::from_secs(2))
        .control(Control::own("no-jitter", "leaves nothing to chance"))
        .control(Control::own("no-budget", "retries without a budget"))
        .control(Control::own("tries-all", "tries permanent errors again, too"))
        .control(Control::own("deaf", "does not read what the server asks for"))
        .run(run)
}

/// How the clients try again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Clients {
    /// Soon, but no more than a tenth of them.
    Bounded,
    /// All of them, over a long time.
    Patient,
}

impl Clients {
    /// No wait is longer.
    const fn cap(self) -> Duration {
        match self {
            Self::Bounded => Duration::from_secs(30),
            Self::Patient => Duration::from_secs(60),
        }
    }

    fn retry(self, lab: &Lab) -> Retry {
        let retry = match self {
            Self::Bounded if lab.is_broken("no-budget") => Retry::exponential(4),
            Self::Bounded => {
                let budget = RetryBudget::by(KeyBy::dependency("server").across_orgs());
                Retry::exponential(4).budget(budget.ratio(0.1).reserve(0))
            }
            Self::Patient => Retry::exponential(8).first(Duration::from_secs(20)),
        };
        let retry = retry.cap(self.cap());
        let retry = match lab.is_broken("no-jitter") {
            true => retry.jitter(Jitter::None),
            false => retry,
        };
        match lab.is_broken("tries-all") {
            true => retry.when(|_| true),
            false => retry,
        }
    }
}

/// The most over all trials.
#[derive(Default)]
struct Most {
    peak: usize,
    extra: usize,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut most = Most::default();
    lab.trials(lab.scaled(10), |lab, trial| {
        for clients in [Clients::Bounded, Clients::Patient] {
            once(lab, &trial, clients, &mut most)?;
        }
        Ok(())
    })?;
    lab.metric("calls_in_a_second", "count", most.peak as f64);
    lab.metric("retries_of_a_thousand", "count", most.extra as f64);
    lab.gate("calls_in_a_second", Op::AtMost, CAPACITY as f64 * 1.5);
    Ok(())
}

fn once(lab: &mut Lab, trial: &Trial, clients: Clients, most: &mut Most) -> Result<(), LabError> {
    let engine = lab.engine().intercept(clients.retry(lab)).build();
    let (rng, heard) = (trial.seed.rng(), !lab.is_broken("deaf"));
    let (reports, arrivals) = lab.paused(async {
        let server = Server::new(rng, heard);
        let pipeline = pipeline(&server)?;
        let runs = (0..RUNS).map(|request| {
            let seed = trial.seed.child(request as u64).get();
            engine.run(&pipeline, request, RunOptions::new().seed(seed))
        });
        Ok((join_all(runs).await, server.arrivals()))
    })?;
    let extra = arrivals.len() - RUNS;
    let peak = peak(&arrivals);
    most.peak = most.peak.max(peak);
    lab.check(
        peak * 2 <= CAPACITY * 3,
        "no second after the first has more than one and a half times what the server can take",
        Breach::WrongStatus,
        || format!("{peak} calls in a second, {clients:?}"),
    );
    if clients == Clients::Bounded {
        most.extra = most.extra.max(extra);
        lab.check(
            (RUNS / 20..=RUNS / 10).contains(&extra),
            "a budget of a tenth adds a tenth, and not nothing",
            Breach::WrongStatus,
            || format!("{extra} retries of {RUNS} calls"),
        );
    }
    ends(lab, &reports, clients);
    gaps(lab, &arrivals, clients);
    Ok(())
}

fn pipeline(server: &Arc<Server>) -> Result<Pipeline<usize, usize>, LabError> {
    let server = Arc::clone(server);
    let ask = stage_fn(move |_cx: StageCx, request: Arc<usize>| {
        let server = Arc::clone(&server);
        async move { server.ask(*request).await }
    });
    let mut p = Pipeline::builder("stampede");
    let request = p.input::<usize>();
    let asked = p.stage("ask", ask).after(request);
    p.output(asked).build().map_err(LabError::new)
}

/// The most calls within a second, whenever that begins, from the first second on.
fn peak(arrivals: &[Arrival]) -> usize {
    let times: Vec<Duration> = arrivals.iter().map(|arrival| arrival.at).collect();
    let later = times.partition_point(|at| *at < Duration::from_secs(1));
    let later = &times[later..];
    let within = |from: usize| {
        let end = later[from] + Duration::from_secs(1);
        later.partition_point(|at| *at < end) - from
    };
    (0..later.len()).map(within).max().unwrap_or(0)
}

/// Permanent errors are final, and with patience all else goes well.
fn ends(lab: &Lab, reports: &[RunReport<usize>], clients: Clients) {
    for (request, report) in reports.iter().enumerate() {
        let attempts = report.stage("ask").map_or(0, |stage| stage.attempts());
        if Server::is_final(request) {
            lab.check(
                attempts == 1 && report.outcome() == Outcome::Failed,
                "a permanent error is not tried again",
                Breach::WrongStatus,
                || format!("{attempts} attempts of {request}, {}", report.outcome()),
            );
        } else if clients == Clients::Patient {
            lab.check(
                report.is_success(),
                "with time, all that can go well does",
                Breach::Lost,
                || format!("{request} after {attempts} attempts"),
            );
        }
    }
}

/// What a server asks for is waited for, but not for ever.
fn gaps(lab: &Lab, arrivals: &[Arrival], clients: Clients) {
    let mut last: Vec<Option<Arrival>> = vec![None; RUNS];
    let cap = clients.cap();
    for arrival in arrivals {
        let Some(before) = last[arrival.request].replace(*arrival) else {
            continue;
        };
        let gap = arrival.at.saturating_sub(before.answered);
        let least = match before.asked {
            Some(asked) if asked > cap => cap / 2,
            asked => asked.unwrap_or_default(),
        };
        // A timer counts in whole milliseconds.
        let fits = (least..=cap + Duration::from_millis(1)).contains(&gap);
        lab.check(
            fits,
            "what a server asks for is honoured within bounds",
            Breach::BrokenOrder,
            || format!("{gap:?} after {before:?}, {clients:?}"),
        );
    }
}
