//! What must have been told of a run, worked out from what its stages wrote down.

use stageflow::context::{Outcome, RunIdentity};
use stageflow::executor::RunReport;

use super::book::{Book, Did, How, Pages};
use super::case::{Case, Outside};
use super::tape::Tape;
use crate::Breach;

/// What is wrong with a run's events.
pub(super) struct Complaint {
    pub(super) invariant: &'static str,
    pub(super) breach: Breach,
    pub(super) detail: String,
}

fn holds(
    holds: bool,
    invariant: &'static str,
    breach: Breach,
    detail: impl FnOnce() -> String,
) -> Result<(), Complaint> {
    if holds {
        return Ok(());
    }
    Err(Complaint {
        invariant,
        breach,
        detail: detail(),
    })
}

/// How many events there were, if all of them are right.
pub(super) fn judge(
    case: &Case,
    book: &Book,
    tape: &Tape,
    identity: &RunIdentity,
    report: Option<&RunReport<u64>>,
) -> Result<u64, Complaint> {
    let pages = book.pages();
    let begun = !pages.done.is_empty() || tape.seen > 0 || report.is_some();
    if !begun {
        // Dropped before it was ever polled: there is nothing to tell.
        return Ok(0);
    }
    holds(
        tape.wrong.is_none(),
        "each event is in its place",
        Breach::BrokenOrder,
        || tape.wrong.clone().unwrap_or_default(),
    )?;
    holds(
        tape.identity.as_ref() == Some(identity),
        "each event is of its own run",
        Breach::Leaked,
        || format!("{:?}, not {identity:?}", tape.identity),
    )?;
    // First how many there are, then each of them.
    let skipped = cone(case, &pages);
    let plan = 2 + pages.done.len() + skipped.len() + tape.answered;
    let exact = case_is_seen_to_the_end(case, report);
    holds(
        !exact || tape.seen == plan as u64,
        "there are as many events as the stages make it",
        if tape.seen < plan as u64 {
            Breach::Lost
        } else {
            Breach::Duplicated
        },
        || format!("{} events, and {plan} things happened", tape.seen),
    )?;
    let differs = (0..pages.done.len().max(tape.done.len()))
        .find(|at| pages.done.get(*at) != tape.done.get(*at));
    holds(
        differs.is_none(),
        "events tell what the stages did, in that order",
        Breach::BrokenOrder,
        || {
            let at = differs.unwrap_or_default();
            let (told, did) = (tape.done.get(at), pages.done.get(at));
            format!("event {at} of stages tells {told:?}, and they did {did:?}")
        },
    )?;
    skips(case, tape, &skipped, exact)?;
    cleanups(&pages)?;
    ending(case, &pages, &skipped, tape, report)?;
    counts(tape, report)?;
    Ok(tape.seen)
}

/// A run that is dropped may go before it has told of all that it would have skipped.
fn case_is_seen_to_the_end(case: &Case, report: Option<&RunReport<u64>>) -> bool {
    report.is_some() || !matches!(case.outside, Outside::DropAfter(_))
}

/// How a stage ended last, if it was ever called.
fn last_end(pages: &Pages, stages: usize) -> Vec<Option<How>> {
    let mut last = vec![None; stages];
    for did in &pages.done {
        if let Did::End(stage, _, how) = did {
            last[*stage as usize] = Some(*how);
        }
    }
    last
}

/// The stages that are skipped because of others: those that were never called and need one that was skipped.
fn cone(case: &Case, pages: &Pages) -> Vec<u32> {
    let last = last_end(pages, case.up.len());
    let mut skipped: Vec<bool> = last.iter().map(|how| *how == Some(How::Skip)).collect();
    let mut found = Vec::new();
    for (at, up) in case.up.iter().enumerate() {
        let needs = up.iter().any(|up| skipped[*up] && !case.optional[*up]);
        if last[at].is_none() && needs {
            skipped[at] = true;
            found.push(at as u32);
        }
    }
    found
}

fn skips(case: &Case, tape: &Tape, skipped: &[u32], exact: bool) -> Result<(), Complaint> {
    let mut told: Vec<u32> = tape.skips.iter().map(|(stage, _)| *stage).collect();
    told.sort_unstable();
    let right = if exact {
        told == skipped
    } else {
        told.iter().all(|stage| skipped.contains(stage))
    };
    holds(
        right,
        "each stage that is skipped is told of once",
        Breach::WrongStatus,
        || format!("{told:?} are told to be skipped, and {skipped:?} are"),
    )?;
    let stranger = tape
        .skips
        .iter()
        .find(|(stage, because)| because >= stage || *because as usize >= case.up.len());
    holds(
        stranger.is_none(),
        "a skip names the stage that skipped",
        Breach::WrongStatus,
        || format!("{stranger:?}"),
    )
}

fn cleanups(pages: &Pages) -> Result<(), Complaint> {
    let ran: Vec<u32> = pages
        .done
        .iter()
        .filter_map(|did| match did {
            Did::Clean(stage) => Some(*stage),
            _ => None,
        })
        .collect();
    let right = ran.iter().eq(pages.registered.iter().rev());
    holds(
        right,
        "every cleanup runs once, the last registered first",
        Breach::ResourceLeak,
        || format!("{ran:?} ran, and {:?} were registered", pages.registered),
    )
}

/// What the run is called, as far as what its stages did decides it.
fn ending(
    case: &Case,
    pages: &Pages,
    skipped: &[u32],
    tape: &Tape,
    report: Option<&RunReport<u64>>,
) -> Result<(), Complaint> {
    let last = last_end(pages, case.up.len());
    let untouched = |at: &usize| {
        last[*at].is_none_or(|how| how == How::Stopped && !case.optional[*at])
            && !skipped.contains(&(*at as u32))
    };
    let complete = !(0..last.len()).any(|at| untouched(&at));
    let failed = (0..last.len()).any(|at| last[at] == Some(How::Fail) && !case.optional[at]);
    let output = last.last() == Some(&Some(How::Ok));
    let wanted: &[Outcome] = match case.outside {
        Outside::Nothing if pages.asked => &[Outcome::Cancelled],
        Outside::Nothing if failed || !complete => &[Outcome::Failed],
        _ if !complete || failed => &[Outcome::Cancelled, Outcome::TimedOut, Outcome::Failed],
        // What comes from outside may come at the very end.
        Outside::Nothing if output => &[Outcome::Succeeded],
        Outside::Nothing => &[Outcome::Skipped],
        _ if output => &[Outcome::Succeeded, Outcome::Cancelled, Outcome::TimedOut],
        _ => &[Outcome::Skipped, Outcome::Cancelled, Outcome::TimedOut],
    };
    let told = tape.ended;
    holds(
        told.is_some_and(|told| wanted.contains(&told)),
        "the last event says how the run ended",
        Breach::WrongStatus,
        || format!("{told:?} is told, and {wanted:?} fits {:?}", case.outside),
    )?;
    holds(
        report.is_none_or(|report| Some(report.outcome()) == told),
        "the report says what the last event says",
        Breach::WrongStatus,
        || format!("{:?}", report.map(RunReport::outcome)),
    )
}

fn counts(tape: &Tape, report: Option<&RunReport<u64>>) -> Result<(), Complaint> {
    let Some(report) = report else { return Ok(()) };
    let counts = report.events();
    let seen = [counts.offered, counts.accepted, counts.dropped];
    let wanted = [tape.seen, tape.seen - tape.refused, tape.refused];
    holds(
        seen == wanted,
        "the report counts what the sink saw",
        Breach::UnaccountedDrop,
        || format!("offered, accepted, dropped: {seen:?}, and the sink says {wanted:?}"),
    )
}
