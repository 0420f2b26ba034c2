//! A thousand cleanups, and some that go wrong.

mod fate;
mod go;

use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use stageflow::context::StageIndex;
use stageflow::events::CleanupEnded;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use self::fate::{Before, Deed, Fate, fate};
use self::go::{Seen, go};
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, TimeMode, Trial};

const CLEANUPS: usize = 1000;
const EACH: u32 = 30;
const BUDGET: u32 = 10_000;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new(
        "A22-CLEANUPS",
        "a thousand cleanups, and some that go wrong",
    )
    .proves(
        "cleanups use the whole budget one after the other, last in first out; one that hangs, \
             panics or fails costs only itself and is named, and so is what there was no time for",
    )
    .theme(Theme::Wed)
    .tier(Tier::Daily)
    .targets(["DAG-009", "WORK-007", "WORK-010"])
    .modes(["R2", "R3", "R9"])
    .expected(Duration::from_secs(2))
    .control(engine(
        "split-budget",
        "gives each cleanup its share of the budget and no more",
        "SplitCleanupBudget",
        1,
    ))
    .control(engine(
        "skip-cleanup",
        "leaves out one cleanup in a thousand",
        "SkipCleanup",
        1000,
    ))
    .control(engine(
        "forwards",
        "runs cleanups in the order of registration",
        "CleanupsForwards",
        5,
    ))
    .control(engine(
        "return-early",
        "gives the report while cleanups still run",
        "ReturnBeforeCleanups",
        5,
    ))
    .control(Control::own(
        "swapped",
        "registers two neighbours in a thousand the wrong way round",
    ))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let engine = lab
        .engine()
        .events(sink.clone())
        .cleanup_budget(Duration::from_millis(BUDGET.into()))
        .build();
    let mut late: f64 = 0.0;
    lab.trials(lab.scaled(40), |lab, trial| {
        let (deeds, before) = draw(trial);
        let seen = lab.paused(go(lab.is_broken("swapped"), &engine, &sink, &deeds, before));
        late = late.max(check(lab, &deeds, &seen, (trial.index, before)));
        Ok(())
    })?;
    lab.metric("cleanups_late_ms_max", "ms", late);
    lab.law("cleanups_late_ms_max", Op::AtMost, 50.0);
    if lab.uses(TimeMode::Real) && !lab.is_over() {
        on_the_machines_clock(lab)?;
    }
    Ok(())
}

/// The first trial is the plain one: a thousand of equal length, one hangs, one panics, one fails. The others vary.
fn draw(trial: Trial) -> (Vec<Deed>, Before) {
    let mut rng = trial.seed.rng();
    let plain = trial.index < 4;
    let count = if plain {
        CLEANUPS
    } else {
        rng.random_range(1..=CLEANUPS)
    };
    let length = |rng: &mut rand::rngs::ChaCha8Rng| match plain {
        true => EACH,
        // Not a twentieth of the budget exactly, nor anything that could end with it.
        false => [0, 1, 7, 30, 49, 501, 733][rng.random_range(0..7)],
    };
    let mut deeds: Vec<Deed> = (0..count).map(|_| Deed::Takes(length(&mut rng))).collect();
    let odd = [Deed::Hangs, Deed::Panics(EACH), Deed::Fails(EACH)];
    let repeats = if plain { 1 } else { rng.random_range(0..4) };
    let odd = odd.into_iter().cycle().take(3 * repeats);
    // Among those that have their turn: the last third.
    let tail = deeds.len().saturating_sub(300);
    let mut places: Vec<usize> = (tail..deeds.len()).collect();
    places.shuffle(&mut rng);
    for (place, deed) in places.into_iter().zip(odd) {
        deeds[place] = deed;
    }
    while fate(&deeds, BUDGET).tied
        && let Some(last) = deeds.last_mut()
    {
        // Short enough for the next one to wait for it: then all that follow come a little later.
        *last = Deed::Takes((last.length().unwrap_or(0) + 1) % 400);
    }
    let befores = [
        Before::Success,
        Before::Failure,
        Before::Limit,
        Before::Cancel,
    ];
    (deeds, befores[trial.index as usize % 4])
}

/// Gives by how many milliseconds the cleanups were over their budget.
fn check(lab: &Lab, deeds: &[Deed], seen: &Seen, (trial, before): (u64, Before)) -> f64 {
    let fate = fate(deeds, BUDGET);
    let context = || format!("{} cleanups after {before:?}", deeds.len());
    let spent = match before {
        Before::Success | Before::Failure => 0,
        Before::Limit | Before::Cancel => 100,
    };
    let cleaning = seen.took.as_secs_f64() * 1e3 - f64::from(spent);
    lab.check(
        (cleaning - f64::from(fate.ends)).abs() < 1.0,
        "cleanups take as long as the rule says",
        Breach::Hang,
        || format!("{}: {cleaning} ms, not {}", context(), fate.ends),
    );
    each(lab, deeds, seen, &fate, &context);
    let outcome = match before {
        Before::Success => Outcome::Succeeded,
        Before::Failure | Before::Limit => Outcome::Failed,
        Before::Cancel => Outcome::Cancelled,
    };
    lab.check(
        seen.outcome == outcome,
        "cleanups do not change how a run ended",
        Breach::WrongStatus,
        || format!("{}: {}", context(), seen.outcome),
    );
    let hangs = deeds
        .iter()
        .filter(|deed| deed.length().is_none_or(|length| length > 500));
    let bound = 1 + hangs.count();
    lab.check(
        seen.most_at_once <= bound && seen.tasks == 0,
        "cleanups run one after the other, beside those that hang",
        Breach::BrokenOrder,
        || format!("{}: {} at once, not {bound}", context(), seen.most_at_once),
    );
    if trial == 0 {
        let done = fate
            .outcomes
            .iter()
            .filter(|end| **end == Outcome::Succeeded);
        lab.metric("completed", "count", done.count() as f64);
        // What fits beside one that hangs and uses up a twentieth of the budget alone.
        lab.metric("fits", "count", f64::from((BUDGET - BUDGET / 20) / EACH));
    }
    cleaning - f64::from(BUDGET)
}

/// Every cleanup has one entry in the report, by name, as it ended, and began in its turn.
fn each(lab: &Lab, deeds: &[Deed], seen: &Seen, fate: &Fate, context: &dyn Fn() -> String) {
    let mut told: Vec<Option<&CleanupEnded>> = vec![None; deeds.len()];
    let mut strange = seen.told.len() != deeds.len() || seen.by_events != deeds.len();
    for ended in &seen.told {
        let number = ended
            .name
            .strip_prefix('c')
            .and_then(|rest| rest.parse::<usize>().ok());
        match number.and_then(|number| told.get_mut(number)) {
            Some(place @ None) => *place = Some(ended),
            _ => strange = true,
        }
    }
    lab.check(
        !strange,
        "each cleanup is told of once, by name",
        Breach::Lost,
        || {
            format!(
                "{}: {} in the report, {} events",
                context(),
                seen.told.len(),
                seen.by_events
            )
        },
    );
    let rows = seen.resources.rows();
    for (number, row) in rows.iter().enumerate() {
        let wanted = fate.outcomes[number];
        let ended = told[number];
        lab.check(
            ended.is_some_and(|ended| ended.outcome == wanted && explained(ended, deeds[number])),
            "what ended in time is told as it ended, what hung or had no time as timed out",
            Breach::WrongStatus,
            || format!("{}: c{number} is {ended:?}, not {wanted}", context()),
        );
        lab.check(
            row.begun.is_some() == fate.begun[number],
            "what there is time for is begun, and nothing else",
            Breach::Lost,
            || format!("{}: c{number} began at {:?}", context(), row.begun),
        );
        let released = row.releases.len() == 1 && row.dropped.is_none();
        let given_up = row.releases.is_empty() && row.dropped.is_some();
        lab.check(
            if wanted == Outcome::TimedOut {
                given_up
            } else {
                released
            },
            "what is cleaned up is given back once",
            Breach::ResourceLeak,
            || format!("{}: c{number}: {row:?}", context()),
        );
    }
    let balance = seen.resources.balance(seen.returned);
    let wrong = seen.resources.out_of_order();
    lab.check(
        wrong.is_empty() && balance.late.is_empty() && balance.twice.is_empty(),
        "cleanups begin last in, first out, and end before the run does",
        Breach::BrokenOrder,
        || {
            format!(
                "{}: {wrong:?}, {balance:?}, now {}",
                context(),
                seen.stamps.next()
            )
        },
    );
}

/// A cleanup that did not succeed says why.
fn explained(ended: &CleanupEnded, deed: Deed) -> bool {
    let said = ended.error.as_deref().unwrap_or_default();
    ended.stage == StageIndex::new(0)
        && match (ended.outcome, deed) {
            (Outcome::Succeeded, _) => ended.error.is_none(),
            (Outcome::Failed, Deed::Fails(_)) => said.contains("it was to fail"),
            (Outcome::Failed, Deed::Panics(_)) => said.contains("it was to panic"),
            (Outcome::TimedOut, _) => !said.is_empty(),
            _ => false,
        }
}

/// A small twin in real time: nothing of the above depends on a clock that jumps.
fn on_the_machines_clock(lab: &mut Lab) -> Result<(), LabError> {
    let budget = Duration::from_millis(400);
    let engine = lab.engine().cleanup_budget(budget).build();
    let sink = RecordingSink::new();
    let mut deeds = vec![Deed::Takes(0); 200];
    deeds[150] = Deed::Hangs;
    deeds[160] = Deed::Panics(0);
    for runtime in lab.runtimes(&[Runtime::Ct, Runtime::Mt2]) {
        let seen = lab.on(runtime, go(false, &engine, &sink, &deeds, Before::Failure))?;
        let count = |outcome| {
            seen.told
                .iter()
                .filter(|end| end.outcome == outcome)
                .count()
        };
        let counts = [Outcome::Succeeded, Outcome::Failed, Outcome::TimedOut].map(count);
        lab.check(
            counts == [198, 1, 1] && seen.took >= budget,
            "in real time one that hangs costs only itself, too",
            Breach::WrongStatus,
            || format!("{counts:?} in {:?}", seen.took),
        );
    }
    Ok(())
}
