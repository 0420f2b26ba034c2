//! The suite notices what is broken: its own harness, tried on toys, and its own list of what it breaks.

mod catalogue;
mod toys;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::runner::{self, Settings};
use crate::harness::stop::StopSign;
use crate::{
    Breach, Control, Lab, LabError, Scenario, ScenarioResult, Seed, Severity, Theme, Tier, Verdict,
    Violation,
};
use toys::{LUCKY, PANIC, TRIALS};

/// Ways in which a harness could be wrong; here its results are, as they would be then.
const BROKEN: [(&str, &str); 7] = [
    ("deaf", "a harness that loses what scenarios find"),
    (
        "believes-controls",
        "a harness that says every control was noticed",
    ),
    (
        "forgets-seed",
        "a harness whose seeds are of its own making",
    ),
    (
        "wrong-replay",
        "a harness that names the next trial in the command that repeats one",
    ),
    (
        "no-watchdog",
        "a harness that takes whatever is cut short for done",
    ),
    (
        "errors-pass",
        "a harness that takes a scenario that could not be run for one that passed",
    ),
    (
        "strict-in-controls",
        "a harness that takes a missed gate for a control that was noticed",
    ),
];

pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::new("D5-CONTROLS", "the suite notices what is broken")
        .proves("what a scenario finds is in its result with the command that repeats it, and a control that nobody notices is told")
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["DX-006", "DX-010"])
        .modes(["I3", "I4"])
        .expected(Duration::from_secs(3));
    BROKEN
        .into_iter()
        .fold(scenario, |scenario, (name, breaks)| {
            scenario.control(Control::own(name, breaks))
        })
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    if !lab.is_control() {
        catalogue::check(lab);
    }
    let rounds = lab.scaled(150);
    lab.trials(rounds, |lab, trial| {
        verdicts(lab, trial.seed);
        endings(lab, trial.seed);
        seeds(lab, trial.seed);
        engines(lab, trial.seed);
        Ok(())
    })?;
    // It takes as long as a watchdog does.
    if !lab.is_control() || lab.is_broken("no-watchdog") {
        hang(lab);
    }
    Ok(())
}

/// What the harness makes of a toy; broken if this is a control.
fn judged(lab: &Lab, toy: &Scenario, mut settings: Settings) -> ScenarioResult {
    static ASKED: AtomicU64 = AtomicU64::new(1);
    if lab.is_broken("forgets-seed") {
        settings.seed = settings.seed.child(ASKED.fetch_add(1, Ordering::Relaxed));
    }
    let mut result = runner::run(toy, &settings, true, &mut |_| {});
    // Nothing that hangs is left behind.
    settings.stop.set();
    if lab.is_broken("deaf") {
        result.breaches.clear();
        result.violations = 0;
    }
    if lab.is_broken("believes-controls") {
        result.control_detected = true;
        result
            .controls
            .iter_mut()
            .for_each(|one| one.detected = true);
    }
    if lab.is_broken("strict-in-controls") && toy.id() == "U7-GATES" {
        result
            .controls
            .iter_mut()
            .for_each(|one| one.detected = true);
    }
    for breach in &mut result.breaches {
        if lab.is_broken("wrong-replay") {
            let next = breach.trial + 1;
            breach.replay = breach.replay.replace(
                &format!("--trial {}", breach.trial),
                &format!("--trial {next}"),
            );
        }
    }
    match result.verdict {
        Verdict::TimedOut if lab.is_broken("no-watchdog") => result.verdict = Verdict::Pass,
        Verdict::Error if lab.is_broken("errors-pass") => result.verdict = Verdict::Pass,
        _ => {}
    }
    result
}

fn settings(seed: Seed, trial: Option<u64>) -> Settings {
    Settings {
        seed,
        scale: 1,
        runtime: None,
        time: None,
        trial,
        stop: StopSign::default(),
    }
}

/// Writes down that a toy was judged wrongly.
fn expect(lab: &Lab, holds: bool, what: &str, result: &ScenarioResult) {
    lab.check(holds, what, Breach::ControlMissed, || {
        let (id, verdict) = (&result.test_id, result.verdict);
        let (breaches, controls) = (&result.breaches, &result.controls);
        format!("{id} was judged {verdict:?} with {breaches:?} and {controls:?}")
    });
}

/// Each toy gets the verdict it deserves.
fn verdicts(lab: &Lab, seed: Seed) {
    let judged = |toy: Scenario| judged(lab, &toy, settings(seed, None));
    let sound = judged(toys::sound());
    let passed = sound.verdict == Verdict::Pass
        && (sound.trials, sound.violations) == (TRIALS, 0)
        && (sound.upper95 - 3.0 / TRIALS as f64).abs() < 1e-12
        && sound.control_detected
        && sound.controls.len() == 1
        && sound.controls[0].detected
        && sound.controls[0].trial == Some(0);
    expect(
        lab,
        passed,
        "what holds passes, and its control is noticed",
        &sound,
    );
    let blind = judged(toys::blind());
    let told = !blind.control_detected && blind.controls.iter().all(|one| !one.detected);
    let told = told && blind.verdict == Verdict::Pass && blind.controls.len() == 1;
    expect(lab, told, "a control that is not noticed is told", &blind);
}

/// So does each that goes wrong, or is not run.
fn endings(lab: &Lab, seed: Seed) {
    let judged = |toy: Scenario| judged(lab, &toy, settings(seed, None));
    let panicked = judged(toys::panicking());
    let failed = panicked.verdict == Verdict::Fail
        && panicked
            .breaches
            .iter()
            .any(|breach| breach.detail.contains(PANIC) && breach.trial == TRIALS / 2);
    expect(
        lab,
        failed,
        "a panic is a failure, with what it said",
        &panicked,
    );
    let impossible = judged(toys::impossible());
    let said = impossible.note.as_deref().unwrap_or_default();
    let error = impossible.verdict == Verdict::Error && said.contains("no such thing");
    expect(lab, error, "what could not be run is an error", &impossible);
    let slow = judged(toys::slow());
    let severities: Vec<Severity> = slow.breaches.iter().map(|breach| breach.severity).collect();
    let gated = slow.verdict == Verdict::Fail
        && severities == [Severity::Medium, Severity::High, Severity::High]
        && slow
            .gates
            .iter()
            .map(|gate| gate.passed)
            .eq([false, false, true])
        && slow.controls.iter().all(|one| !one.detected);
    expect(
        lab,
        gated,
        "a missed gate is a finding, by how much it was missed",
        &slow,
    );
    let pending = judged(Scenario::new("U0-PENDING", "an idea").pending("time"));
    let waits = pending.verdict == Verdict::Pending && pending.note.as_deref() == Some("time");
    expect(lab, waits, "what cannot be run yet is pending", &pending);
    let stopped = settings(seed, None);
    stopped.stop.set();
    let stopped = self::judged(lab, &toys::sound(), stopped);
    let cut = stopped.verdict == Verdict::Interrupted && stopped.trials == 0;
    expect(lab, cut, "what was stopped is not passed", &stopped);
}

/// What depends on seeds depends on nothing else, and the command in a finding repeats it.
fn seeds(lab: &Lab, seed: Seed) {
    let toy = toys::unlucky();
    let first = judged(lab, &toy, settings(seed, None));
    // Worked out here from the seed alone.
    let of_trial = |trial| seed.named(toy.id()).child(trial);
    let lucky: Vec<u64> = (0..TRIALS)
        .filter(|trial| toys::is_lucky(of_trial(*trial).get()))
        .collect();
    let found = match (lucky.first(), first.breaches.first()) {
        (None, None) => first.verdict == Verdict::Pass,
        (Some(trial), Some(breach)) => {
            first.verdict == Verdict::Fail
                && breach.trial == *trial
                && breach.count == lucky.len() as u64
                && breach.detail == of_trial(*trial).to_string()
                && breach.invariant == LUCKY
        }
        _ => false,
    };
    expect(
        lab,
        found && first.trials == TRIALS,
        "everything a scenario finds is in its result",
        &first,
    );
    let again = judged(lab, &toy, settings(seed, None));
    let same = first.breaches == again.breaches && first.metrics == again.metrics;
    expect(
        lab,
        same && first.violations == again.violations,
        "the same seed gives the same",
        &again,
    );
    let other = judged(lab, &toy, settings(seed.child(7), None));
    expect(
        lab,
        other.metrics != first.metrics,
        "another seed gives something else",
        &other,
    );
    if let Some(breach) = first.breaches.first() {
        replay(lab, &toy, breach, &first);
    }
}

/// Does what the command line says that a finding carries.
fn replay(lab: &Lab, toy: &Scenario, breach: &Violation, result: &ScenarioResult) {
    let words: Vec<&str> = breach.replay.split_whitespace().collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        words.get(at + 1).copied()
    };
    let seed = after("--seed").and_then(|seed| seed.parse().ok());
    let trial = after("--trial").and_then(|trial| trial.parse().ok());
    let (Some(seed), Some(trial), Some(id)) = (seed, trial, after("--only")) else {
        return expect(
            lab,
            false,
            "a finding carries the command that repeats it",
            result,
        );
    };
    let alone = judged(lab, toy, settings(seed, Some(trial)));
    let same = alone.breaches.first().is_some_and(|again| {
        (again.trial, &again.detail) == (breach.trial, &breach.detail) && again.count == 1
    });
    let same = same && id == toy.id() && alone.trials == 1 && alone.controls.is_empty();
    expect(
        lab,
        same,
        "a finding carries the command that repeats it",
        &alone,
    );
}

/// A broken engine is noticed by who looks, and by nobody else.
#[cfg(feature = "sabotage")]
fn engines(lab: &Lab, seed: Seed) {
    const FAULTS: [&str; 5] = [
        "LoseEvent",
        "RepeatEvent",
        "SwapEvents",
        "ForgetEnd",
        "ConfuseRuns",
    ];
    let fault = FAULTS[(seed.get() % FAULTS.len() as u64) as usize];
    let looks = judged(lab, &toys::engine(fault, true), settings(seed, None));
    let noticed = looks.verdict == Verdict::Pass && looks.control_detected;
    expect(lab, noticed, "a broken engine is noticed", &looks);
    let deaf = judged(lab, &toys::engine(fault, false), settings(seed, None));
    let missed = deaf.verdict == Verdict::Pass && !deaf.control_detected;
    expect(lab, missed, "a control that is not noticed is told", &deaf);
}

#[cfg(not(feature = "sabotage"))]
fn engines(lab: &Lab, seed: Seed) {
    let looks = judged(lab, &toys::engine("LoseEvent", true), settings(seed, None));
    let left_out = looks.verdict == Verdict::Pass && looks.controls.is_empty();
    expect(
        lab,
        left_out,
        "controls that this build cannot have are left out",
        &looks,
    );
    let deaf = judged(lab, &toys::engine("LoseEvent", false), settings(seed, None));
    expect(
        lab,
        deaf.controls.is_empty(),
        "controls that this build cannot have are left out",
        &deaf,
    );
}

/// What does not end is ended.
fn hang(lab: &Lab) {
    let toy = toys::hanging();
    let result = judged(lab, &toy, settings(lab.seed(), None));
    let hung = result.verdict == Verdict::TimedOut
        && result
            .breaches
            .iter()
            .any(|breach| breach.breach == Breach::Hang);
    expect(lab, hung, "what does not end is told to hang", &result);
}
