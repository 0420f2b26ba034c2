//! Cancelling cleans up in the middle of a run.

pub(super) mod bench;
pub(super) mod books;
pub(super) mod case;
pub(super) mod check;
mod node;
pub(super) mod sample;
mod story;
mod verdict;

use std::time::Duration;

use self::bench::{Bench, Built, Done};
use self::case::{Case, End};
use self::check::Check;
use self::sample::Busy;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, TimeMode, Trial};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T3-CANCEL", "cancelling cleans up in the middle of a run")
        .proves(
            "a run that is cancelled at any moment stops at once, gives back everything it holds \
             before it returns, keeps what was finished, and harms no later run",
        )
        .theme(Theme::Wed)
        .tier(Tier::Smoke)
        .targets(["DAG-009", "WORK-007"])
        .modes(["R1", "R2", "R3", "R4", "R8"])
        .expected(Duration::from_secs(3))
        .control(Control::engine(
            "skip-cleanup",
            "leaves out one cleanup in a hundred",
            "SkipCleanup",
            100,
        ))
        .control(Control::own(
            "cleanup-twice",
            "gives back one resource in fifty twice",
        ))
        .control(Control::engine(
            "return-early",
            "gives the report while cleanups still run",
            "ReturnBeforeCleanups",
            20,
        ))
        .control(Control::engine(
            "cancel-is-success",
            "says that a run that was cancelled has completed",
            "CancelIsSuccess",
            10,
        ))
        .control(Control::engine(
            "cancel-late",
            "waits for the stages that run before it notices a cancel",
            "CancelLate",
            1,
        ))
        .control(Control::engine(
            "start-after-stop",
            "goes on starting stages",
            "StartAfterStop",
            50,
        ))
        .control(Control::engine(
            "abandon-tasks",
            "does not wait for one task in ten",
            "AbandonTasks",
            10,
        ))
        .control(Control::engine(
            "forwards",
            "runs cleanups in the order of registration",
            "CleanupsForwards",
            10,
        ))
        .control(Control::own(
            "cleanup-forgotten",
            "drops one resource in fifty instead of giving it back",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench::new(lab).with_files()?;
    // A process's first runtime opens files of its own for good.
    lab.on(Runtime::Ct, async {})?;
    let files = open_files();
    let runtimes = lab.runtimes(&[Runtime::Mt2, Runtime::MtN, Runtime::Mt4N, Runtime::Ct]);
    let mut returns = Vec::new();
    let both = lab.uses(TimeMode::Real) && lab.uses(TimeMode::Virtual);
    lab.trials(lab.scaled(200), |lab, trial| {
        let real = if both {
            trial.index % 10 == 9
        } else {
            lab.uses(TimeMode::Real)
        };
        if real {
            let runtime = runtimes[(trial.index / 10) as usize % runtimes.len()];
            returns.extend(running(lab, &bench, trial, runtime)?);
            Ok(())
        } else {
            paused(lab, &bench, trial)
        }
    })?;
    edges(lab, &bench)?;
    bench.tell(lab);
    let delta = open_files() - files;
    lab.metric("fds_delta", "files", delta);
    lab.check(
        delta <= 0.0,
        "no file stays open",
        Breach::ResourceLeak,
        || format!("{delta} more are open"),
    );
    tell_returns(lab, &returns);
    Ok(())
}

/// How long runs took to return after they were cancelled, on the machine's clock, where cleanups take no time.
fn tell_returns(lab: &Lab, returns: &[f64]) {
    if returns.is_empty() {
        return;
    }
    lab.samples("cancel_to_return_ms", "ms", returns.iter().copied());
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let value = crate::stats::quantile(returns, share);
        lab.metric(&format!("cancel_to_return_ms_{name}"), "ms", value);
    }
    lab.gate("cancel_to_return_ms", Op::AtMost, 10.0);
    lab.gate("cancel_to_return_ms_p99", Op::AtMost, 250.0);
}

/// On a paused clock, where everything is exact.
fn paused(lab: &mut Lab, bench: &Bench, trial: Trial) -> Result<(), LabError> {
    let mut rng = trial.seed.rng();
    let busy = Busy {
        rng: &mut rng,
        who: sample::Who::Handle,
        exact: true,
        layered: trial.index.is_multiple_of(2),
    };
    exactly(lab, bench, busy.draw())
}

/// Runs a case on a paused clock, holds it against the oracle, and then runs another on the same engine.
pub(super) fn exactly(lab: &mut Lab, bench: &Bench, case: Case) -> Result<(), LabError> {
    let layered = case.layered;
    once(lab, bench, case)?;
    let next = Case {
        layered,
        ..sample::next()
    };
    once(lab, bench, next)?;
    Ok(())
}

/// Runs a case on a paused clock and holds it against the oracle.
pub(super) fn once(lab: &mut Lab, bench: &Bench, case: Case) -> Result<(Built, Done), LabError> {
    let built = case.build(bench)?;
    let done = lab.paused(bench.run(&built));
    Check::new(lab, bench, &built, &done).exactly();
    Ok((built, done))
}

/// On the machine's clock and on several threads: what stages did says what must be reported.
fn running(
    lab: &mut Lab,
    bench: &Bench,
    trial: Trial,
    runtime: Runtime,
) -> Result<Option<f64>, LabError> {
    let mut rng = trial.seed.rng();
    // Every third of them is dropped: what waits for its tasks then is another piece of the engine.
    let who = match trial.index / 10 % 3 {
        2 => sample::Who::Caller,
        _ => sample::Who::Handle,
    };
    let busy = Busy {
        rng: &mut rng,
        who,
        exact: false,
        layered: trial.index % 4 < 2,
    };
    let built = busy.draw().build(bench)?;
    let done = lab.on(runtime, bench.run(&built))?;
    let check = Check::new(lab, bench, &built, &done);
    let _length = check.loosely();
    check.was_cancelled();
    let built = sample::next().build(bench)?;
    let next = lab.on(runtime, bench.run(&built))?;
    let _length = Check::new(lab, bench, &built, &next).loosely();
    let cancelled = done.stopped.filter(|stopped| stopped.told.is_some());
    let took = cancelled.map(|stopped| done.at - stopped.at);
    Ok(took.map(|took| took.as_secs_f64() * 1e3))
}

/// Cancelled before it starts, nothing starts; cancelled after it has ended, nothing changes.
fn edges(lab: &mut Lab, bench: &Bench) -> Result<(), LabError> {
    let before = Case {
        end: End::Cancel(0),
        ..sample::next()
    }
    .build(bench)?;
    let (done, first) = lab.paused(async {
        let at = tokio::time::Instant::now();
        let run = bench.start(&before);
        let first = run.handle().cancel(bench::REASON);
        (bench.seen(Some(run.await), &before, at), first)
    });
    let calls = before.books.probe.calls();
    let report = done.report.as_ref();
    let reason = report.and_then(|report| report.cancel_reason().cloned());
    lab.check(
        calls == 0 && first && done.took == Duration::ZERO && reason.is_some(),
        "cancelled before it starts, a run does nothing",
        Breach::BrokenOrder,
        || format!("{calls} calls in {:?}, because of {reason:?}", done.took),
    );
    let after = sample::next().build(bench)?;
    let (done, handle) = lab.paused(async {
        let at = tokio::time::Instant::now();
        let run = bench.start(&after);
        let handle = run.handle();
        (bench.seen(Some(run.await), &after, at), handle)
    });
    handle.cancel("too late");
    Check::new(lab, bench, &after, &done).exactly();
    Ok(())
}

/// How many files this process has open.
fn open_files() -> f64 {
    std::fs::read_dir("/proc/self/fd").map_or(0.0, |files| files.count() as f64)
}
