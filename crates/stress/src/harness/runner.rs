//! Runs scenarios, their controls after them, under a watchdog.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::book::Book;
use crate::harness::stats::upper95;
use crate::harness::stop::StopSign;
use crate::harness::witness::Witness;
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

/// How often a running scenario is looked after.
const LOOK: Duration = Duration::from_millis(100);
/// How long a scenario that was told to stop may take to do so.
const GRACE: Duration = Duration::from_secs(3);

/// What is going on, for those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now<'a> {
    /// The scenario itself, with as many trials behind it.
    Healthy { trials: u64 },
    /// One of its controls.
    Control {
        name: &'a str,
        number: usize,
        of: usize,
    },
}

/// Told every now and then.
pub(crate) type Watch<'w> = &'w mut dyn FnMut(Now<'_>);

/// Runs a scenario, and then every control of it.
pub(crate) fn run(
    scenario: &Scenario,
    settings: &Settings,
    controls: bool,
    watch: Watch<'_>,
) -> ScenarioResult {
    let State::Ready(_) = &scenario.state else {
        return blank(scenario, settings, Verdict::Pending);
    };
    let started = Instant::now();
    let healthy = attempt(scenario, settings, None, &mut |trials| {
        watch(Now::Healthy { trials });
    });
    let mut result = blank(scenario, settings, Verdict::Pass);
    result.duration_ms = started.elapsed().as_secs_f64() * 1e3;
    read(&healthy.book, &mut result);
    result.verdict = match healthy.end {
        End::TimedOut => Verdict::TimedOut,
        _ if result.violations > 0 => Verdict::Fail,
        End::Error(error) => {
            result.note = Some(error);
            Verdict::Error
        }
        End::LeftBehind => Verdict::Interrupted,
        End::Done if settings.stop.is_set() => Verdict::Interrupted,
        End::Done => Verdict::Pass,
    };
    if controls && settings.trial.is_none() {
        let started = Instant::now();
        let all = run_controls(scenario, settings, &mut result, watch);
        result.controls_ms = started.elapsed().as_secs_f64() * 1e3;
        if !all && result.verdict == Verdict::Pass {
            result.verdict = Verdict::Interrupted;
        }
    }
    if result.verdict == Verdict::Interrupted {
        result.note = Some("it was stopped before its end".to_owned());
    }
    result
}

/// What a scenario gives that nobody got to.
pub(crate) fn not_reached(scenario: &Scenario, settings: &Settings) -> ScenarioResult {
    let verdict = match scenario.state {
        State::Ready(_) => Verdict::Interrupted,
        State::Pending(_) => Verdict::Pending,
    };
    let mut result = blank(scenario, settings, verdict);
    if verdict == Verdict::Interrupted {
        result.note = Some("it was not reached".to_owned());
    }
    result
}

/// Takes over what the scenario wrote down.
fn read(book: &Book, result: &mut ScenarioResult) {
    let pages = book.pages();
    result.trials = book.trials();
    result.violations = book.violations();
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
    result.note = pages.left_out;
    result.runtimes = pages.runtimes.into_iter().collect();
    result.time_modes = pages.times;
}

/// Runs every control. `false` if it had to stop before the last one was done: one that was cut short says nothing.
fn run_controls(
    scenario: &Scenario,
    settings: &Settings,
    result: &mut ScenarioResult,
    watch: Watch<'_>,
) -> bool {
    let controls = scenario.controls.iter().filter(|one| one.is_possible());
    let controls: Vec<Control> = controls.copied().collect();
    for (at, control) in controls.iter().enumerate() {
        if settings.stop.is_set() {
            return false;
        }
        let (name, number, of) = (control.name, at + 1, controls.len());
        let Attempt { end, book } = attempt(scenario, settings, Some(*control), &mut |_| {
            watch(Now::Control { name, number, of });
        });
        let detected = book.violations() > 0;
        if !detected && settings.stop.is_set() {
            return false;
        }
        let first: Option<Violation> = book.pages().breaches.into_iter().next();
        let trial = first.as_ref().map(|first| first.trial);
        let noticed = first.map(|first| format!("{}: {}", first.invariant, first.detail));
        result.controls.push(ControlResult {
            name: control.name.to_owned(),
            breaks: control.breaks.to_owned(),
            detected,
            trial,
            first: noticed.or(match end {
                End::Error(error) => Some(error),
                _ => None,
            }),
        });
    }
    result.control_detected = !controls.is_empty() && result.missed_controls().next().is_none();
    true
}

struct Attempt {
    end: End,
    book: Arc<Book>,
}

enum End {
    Done,
    Error(String),
    TimedOut,
    /// It was told to stop and did not.
    LeftBehind,
}

/// Runs a scenario once, on a thread of its own, for as long as the watchdog lets it.
///
/// A thread that hangs cannot be stopped: it is told to, left behind, and ends with the process.
fn attempt(
    scenario: &Scenario,
    settings: &Settings,
    control: Option<Control>,
    watch: &mut dyn FnMut(u64),
) -> Attempt {
    // One that takes no time at all, as only toys do, hangs sooner.
    let least = if scenario.expected.is_zero() {
        LOOK
    } else {
        Duration::from_secs(10)
    };
    let limit = scenario
        .expected
        .saturating_mul(5 * settings.scale)
        .max(least);
    let book = Arc::new(Book::default());
    let mut lab = Lab {
        id: scenario.id,
        root: settings.seed,
        scale: settings.scale,
        only_trial: settings.trial,
        runtime: settings.runtime,
        time: settings.time,
        limit,
        witness: Witness {
            control,
            stop: settings.stop.clone(),
            book: Arc::clone(&book),
            trial: 0,
        },
    };
    let State::Ready(run) = &scenario.state else {
        let end = End::Done;
        return Attempt { end, book };
    };
    let (run, seen) = (Arc::clone(run), Arc::clone(&book));
    let (done, wait) = channel();
    watch(0);
    let worker = thread::Builder::new()
        .name(scenario.id.to_owned())
        .spawn(move || {
            let caught = catch_unwind(AssertUnwindSafe(|| run(&mut lab)));
            if let Err(payload) = &caught {
                let said = said(&**payload);
                let invariant = "nothing panics that was not made to";
                seen.violation(invariant, Breach::WrongStatus, said, lab.witness.trial);
            }
            // Nobody may be left to hear it.
            let _unheard = done.send(caught.unwrap_or(Ok(())));
        });
    let end = match worker {
        Err(error) => End::Error(error.to_string()),
        Ok(_) => look_after(&wait, limit, &settings.stop, &book, watch),
    };
    Attempt { end, book }
}

/// Waits for the end of an attempt: its own, the watchdog's, or that of patience with one that was told to stop.
fn look_after(
    wait: &Receiver<Result<(), LabError>>,
    limit: Duration,
    stop: &StopSign,
    book: &Book,
    watch: &mut dyn FnMut(u64),
) -> End {
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        match wait.recv_timeout(LOOK) {
            Ok(Ok(())) => return End::Done,
            Ok(Err(error)) => return End::Error(describe(&error)),
            Err(RecvTimeoutError::Disconnected) => {
                return End::Error("its thread is gone".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => watch(book.trials()),
        }
        if stop.is_set() && told.get_or_insert_with(Instant::now).elapsed() > GRACE {
            return End::LeftBehind;
        }
        if started.elapsed() > limit {
            book.hang(limit);
            return End::TimedOut;
        }
    }
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked with something that is no text")
        .to_owned()
}

/// An error in a line. A [`LabError`] says its source itself.
fn describe(error: &LabError) -> String {
    error.to_string()
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
        controls_ms: 0.0,
        rounds: 1,
        replay: format!(
            "cargo xtask stress --only {} --seed {}{scale}",
            scenario.id, settings.seed
        ),
        log: Vec::new(),
        exhibits: Vec::new(),
    }
}
