//! Runs scenarios, their controls after them, under a watchdog.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::book::Book;
use crate::harness::stats::upper95;
use crate::harness::stop::StopSign;
use crate::scenario::{Control, State};
use crate::{
    Breach, ControlResult, Lab, LabError, Runtime, Scenario, ScenarioResult, Seed, TimeMode,
    Verdict, Violation,
};

/// What all scenarios of a run of the suite have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: Seed,
    pub(crate) scale: u32,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) time: Option<TimeMode>,
    pub(crate) trial: Option<u64>,
    pub(crate) stop: StopSign,
}

/// Runs a scenario, and then every control of it.
pub(crate) fn run(scenario: &Scenario, settings: &Settings) -> ScenarioResult {
    let State::Ready(_) = &scenario.state else {
        return blank(scenario, settings, Verdict::Pending);
    };
    let started = Instant::now();
    let healthy = attempt(scenario, settings, None);
    let mut result = blank(scenario, settings, Verdict::Pass);
    result.duration_ms = started.elapsed().as_secs_f64() * 1e3;
    let pages = healthy.book.pages();
    result.trials = healthy.book.trials();
    result.violations = healthy.book.violations();
    result.upper95 = upper95(result.trials, result.violations);
    result.breaches = pages.breaches;
    for breach in &mut result.breaches {
        breach.replay = format!("{} --trial {}", result.replay, breach.trial);
    }
    result.metrics = pages.metrics;
    result.samples = pages.samples;
    result.scalings = pages.scalings;
    result.gates = pages.gates;
    result.log = pages.log;
    result.exhibits = pages.exhibits;
    result.runtimes = pages.runtimes.into_iter().collect();
    result.time_modes = pages.times;
    result.verdict = match healthy.end {
        End::TimedOut => Verdict::TimedOut,
        _ if result.violations > 0 => Verdict::Fail,
        End::Error(error) => {
            result.note = Some(error);
            Verdict::Error
        }
        End::Done if settings.stop.is_set() => Verdict::Interrupted,
        End::Done => Verdict::Pass,
    };
    run_controls(scenario, settings, &mut result);
    result
}

fn run_controls(scenario: &Scenario, settings: &Settings, result: &mut ScenarioResult) {
    for control in scenario
        .controls
        .iter()
        .filter(|control| control.is_possible())
    {
        if settings.stop.is_set() || settings.trial.is_some() {
            break;
        }
        let book = attempt(scenario, settings, Some(*control)).book;
        let first: Option<Violation> = book.pages().breaches.into_iter().next();
        result.controls.push(ControlResult {
            name: control.name.to_owned(),
            breaks: control.breaks.to_owned(),
            detected: book.violations() > 0,
            trial: first.as_ref().map(|first| first.trial),
            first: first.map(|first| format!("{}: {}", first.invariant, first.detail)),
        });
    }
    result.control_detected = result.controls.iter().all(|control| control.detected);
}

struct Attempt {
    end: End,
    book: Arc<Book>,
}

enum End {
    Done,
    Error(String),
    TimedOut,
}

/// Runs a scenario once, on a thread of its own, for as long as the watchdog lets it.
///
/// A thread that hangs cannot be stopped: it is told to, left behind, and ends with the process.
fn attempt(scenario: &Scenario, settings: &Settings, control: Option<Control>) -> Attempt {
    let limit = scenario
        .expected
        .saturating_mul(5 * settings.scale)
        .max(Duration::from_secs(10));
    let book = Arc::new(Book::default());
    let mut lab = Lab {
        id: scenario.id,
        root: settings.seed,
        scale: settings.scale,
        control,
        only_trial: settings.trial,
        runtime: settings.runtime,
        time: settings.time,
        limit,
        stop: settings.stop.clone(),
        book: Arc::clone(&book),
        trial: 0,
    };
    let State::Ready(run) = &scenario.state else {
        let end = End::Done;
        return Attempt { end, book };
    };
    let (run, seen) = (Arc::clone(run), Arc::clone(&book));
    let (done, wait) = channel();
    let worker = thread::Builder::new()
        .name(scenario.id.to_owned())
        .spawn(move || {
            let caught = catch_unwind(AssertUnwindSafe(|| run(&mut lab)));
            if let Err(payload) = &caught {
                let said = said(&**payload);
                let invariant = "nothing panics that was not made to";
                seen.violation(invariant, Breach::WrongStatus, said, lab.trial);
            }
            // Nobody may be left to hear it.
            let _unheard = done.send(caught.unwrap_or(Ok(())));
        });
    let end = match worker {
        Err(error) => End::Error(error.to_string()),
        Ok(_) => match wait.recv_timeout(limit) {
            Ok(Ok(())) => End::Done,
            Ok(Err(error)) => End::Error(describe(&error)),
            Err(RecvTimeoutError::Disconnected) => End::Error("its thread is gone".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                let last = book.pages().log.last().cloned().unwrap_or_default();
                let detail = format!("it had not ended after {limit:?}; it said last: `{last}`");
                book.violation("everything ends", Breach::Hang, detail, 0);
                End::TimedOut
            }
        },
    };
    Attempt { end, book }
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked with something that is no text")
        .to_owned()
}

fn describe(error: &LabError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn blank(scenario: &Scenario, settings: &Settings, verdict: Verdict) -> ScenarioResult {
    let scale = match settings.scale {
        1 => String::new(),
        scale => format!(" --scale {scale}"),
    };
    ScenarioResult {
        test_id: scenario.id.to_owned(),
        title: scenario.title.to_owned(),
        proves: scenario.proves.to_owned(),
        tier: scenario.tier,
        theme: scenario.theme,
        targets: scenario.targets.iter().map(|id| (*id).to_owned()).collect(),
        modes: scenario.modes.iter().map(|id| (*id).to_owned()).collect(),
        seed: settings.seed.named(scenario.id).to_string(),
        scale: settings.scale,
        runtimes: Vec::new(),
        time_modes: Vec::new(),
        verdict,
        note: scenario.needs().map(str::to_owned),
        trials: 0,
        violations: 0,
        upper95: 1.0,
        breaches: Vec::new(),
        metrics: BTreeMap::new(),
        samples: BTreeMap::new(),
        scalings: Vec::new(),
        gates: Vec::new(),
        controls: Vec::new(),
        control_detected: false,
        duration_ms: 0.0,
        replay: format!(
            "cargo xtask stress --only {} --seed {}{scale}",
            scenario.id, settings.seed
        ),
        log: Vec::new(),
        exhibits: Vec::new(),
    }
}
