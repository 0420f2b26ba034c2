//! Real scenarios, run by the real loop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use tempfile::tempdir;

use crate::cli::args::Args;
use crate::cli::progress::Progress;
use crate::cli::session::{self, Plan, Session, Stopped};
use crate::cli::{compare, suite};
use crate::harness::runner::Settings;
use crate::harness::stop::StopSign;
use crate::report::findings::Kind;
use crate::{Breach, Control, Lab, LabError, Op, Registry, Scenario, Seed, Verdict};

/// Doubling: wrong where the control is broken, or always, as told.
fn doubling(id: &'static str, wrong: bool) -> Scenario {
    Scenario::new(id, "doubling is adding to itself")
        .proves("2n = n + n")
        .control(Control::own("off-by-one", "adds one too many"))
        .run(move |lab| {
            lab.trials(10, |lab, trial| {
                let n = trial.seed.get() >> 1;
                let doubled = n + n + u64::from(wrong || lab.is_broken("off-by-one"));
                let said = || format!("{n} gave {doubled}");
                lab.check(doubled == 2 * n, "2n = n + n", Breach::WrongStatus, said);
                Ok(())
            })
        })
}

fn scenario(
    id: &'static str,
    run: impl Fn(&mut Lab) -> Result<(), LabError> + Send + Sync + 'static,
) -> Scenario {
    Scenario::new(id, "something").run(run)
}

fn settings() -> Settings {
    Settings {
        seed: Seed::new(42),
        scale: 1,
        runtime: None,
        time: None,
        trial: None,
        stop: StopSign::default(),
    }
}

fn run(chosen: &[Scenario], hard_stop: Option<Duration>, duration: Option<Duration>) -> Session {
    let plan = Plan {
        chosen: chosen.iter().collect(),
        settings: settings(),
        duration,
        hard_stop,
    };
    session::run(&plan, &Progress::silent())
}

/// Goes on until it is told to stop.
fn endless(id: &'static str) -> Scenario {
    scenario(id, |lab| {
        while !lab.is_over() {
            lab.count_trials(1);
            std::thread::yield_now();
        }
        Ok(())
    })
}

#[test]
fn what_the_clock_cuts_off_has_not_passed() {
    let chosen = [endless("U1-ENDLESS"), doubling("U2-LATE", false)];
    let session = run(&chosen, Some(Duration::from_millis(300)), None);
    let verdicts: Vec<Verdict> = session
        .results
        .iter()
        .map(|result| result.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Interrupted; 2]);
    assert_eq!(session.stopped, Some(Stopped::OutOfTime));
    assert!(
        session.results[0].trials > 0,
        "what it has found until then counts"
    );
    assert_eq!(session.results[1].trials, 0);
}

#[test]
fn a_control_that_is_cut_off_is_not_called_missed() {
    let stuck = scenario("U1-STUCK", |lab| {
        lab.count_trials(1);
        while lab.is_control() && !lab.is_over() {
            std::thread::yield_now();
        }
        Ok(())
    });
    let chosen = [stuck.control(Control::own("slow", "takes for ever"))];
    let session = run(&chosen, Some(Duration::from_millis(300)), None);
    let result = &session.results[0];
    assert_eq!(
        (result.verdict, result.controls.len()),
        (Verdict::Interrupted, 0)
    );
    assert!(!result.control_detected);
}

#[test]
fn time_left_over_is_used_for_other_seeds() {
    let chosen = [
        doubling("U1-FINE", false),
        Scenario::new("U2-NOT-YET", "later"),
    ];
    let session = run(&chosen, None, Some(Duration::from_secs(2)));
    let result = &session.results[0];
    assert!(result.rounds > 1);
    assert_eq!(result.trials, 10 * result.rounds);
    assert_eq!(result.controls.len(), 1, "controls are for the first round");
    assert_eq!(session.results[1].verdict, Verdict::Pending);
}

#[test]
fn a_violation_of_a_later_round_keeps_its_seed() {
    let first = Seed::new(42).named("U1-ODD");
    let odd = scenario("U1-ODD", move |lab| {
        lab.count_trials(1);
        let seed = lab.seed();
        lab.check(seed == first, "it is the first round", Breach::Lost, || {
            seed.to_string()
        });
        Ok(())
    });
    let session = run(&[odd], None, Some(Duration::from_secs(2)));
    let result = &session.results[0];
    assert_eq!(result.verdict, Verdict::Fail);
    let seed = format!("--seed {}", Seed::new(42).child(1));
    assert!(
        result.breaches[0].replay.contains(&seed),
        "{}",
        result.breaches[0].replay
    );
}

/// What the program does with these words, and the folders it leaves.
fn program(registry: &Registry, out: &Path, words: &[&str]) -> (u8, Vec<PathBuf>) {
    let out_words = ["stress", "--json", "--out", out.to_str().unwrap()];
    let args = Args::try_parse_from(out_words.iter().chain(words)).unwrap();
    let code = suite(&args, registry).unwrap();
    let Ok(found) = std::fs::read_dir(out) else {
        return (code, Vec::new());
    };
    let mut folders: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    (code, folders)
}

#[test]
fn the_exit_code_says_what_happened() {
    let out = tempdir().unwrap();
    let code = |scenario: Scenario| {
        let registry = Registry::empty().with(scenario);
        program(&registry, out.path(), &["--no-report"])
    };
    assert_eq!(
        code(doubling("U1-FINE", false)),
        (0, Vec::new()),
        "no report was asked for"
    );
    assert_eq!(code(doubling("U1-WRONG", true)).0, 1);
    assert_eq!(code(scenario("U1-PANIC", |_| panic!("on purpose"))).0, 1);
    assert_eq!(
        code(scenario("U1-BROKEN", |_| Err(LabError::new("no disk")))).0,
        2
    );
    let blind = doubling("U1-BLIND", false).control(Control::own("other", "does nothing"));
    assert_eq!(code(blind).0, 2);
    assert_eq!(code(Scenario::new("U1-NOT-YET", "later")).0, 2);
}

#[test]
fn two_runs_are_compared() {
    let out = tempdir().unwrap();
    let fine = Registry::empty().with(doubling("U1-DOUBLE", false));
    let wrong = Registry::empty().with(doubling("U1-DOUBLE", true));
    let (_, _) = program(&fine, out.path(), &[]);
    let (_, _) = program(&fine, out.path(), &[]);
    let (code, folders) = program(&wrong, out.path(), &[]);
    assert_eq!((code, folders.len()), (1, 3));
    let same = compare::of(&folders[0], &folders[1]).unwrap();
    assert!(!same.is_worse(), "{}", same.text());
    assert_eq!(same.text(), "Nothing changed.");
    let worse = compare::of(&folders[0], &folders[2]).unwrap();
    assert!(worse.is_worse());
    assert_eq!(
        worse.verdicts,
        [(
            "U1-DOUBLE".to_owned(),
            Some(Verdict::Pass),
            Some(Verdict::Fail)
        )]
    );
    assert_eq!(worse.new.len(), 1);
    assert_eq!(worse.new[0].kind, Kind::Correctness);
    let better = compare::of(&folders[2], &folders[0]).unwrap();
    assert!(!better.is_worse());
    assert_eq!(better.gone.len(), 1);
    assert!(compare::of(&folders[0], out.path()).is_err());
}

#[test]
fn a_baseline_is_held() {
    let out = tempdir().unwrap();
    let of = |cost: f64| {
        Registry::empty().with(scenario("U1-COST", move |lab| {
            lab.count_trials(1);
            lab.samples("cost_us", "us", (0..100).map(|at| cost + f64::from(at % 5)));
            lab.gate("cost_us", Op::AtMost, 1e9);
            Ok(())
        }))
    };
    let (code, folders) = program(&of(100.0), out.path(), &[]);
    assert_eq!(code, 0);
    let file = folders[0].join("baselines.json");
    let words = ["--no-report", "--baseline", file.to_str().unwrap()];
    assert_eq!(program(&of(100.0), out.path(), &words).0, 0);
    assert_eq!(program(&of(200.0), out.path(), &words).0, 3);
    assert_eq!(program(&of(50.0), out.path(), &words).0, 0);
}
