//! What must be true of a round once everybody has gone.

use stageflow::context::OutputConflictKind;

use super::bag::{Common, Cut, ITERATIONS, Round, SHARED, Sealed, WRITERS};
use crate::Breach;

/// What a round has shown.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) conflicts: u64,
    pub(super) views: u64,
    pub(super) torn: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.conflicts += other.conflicts;
        self.views += other.views;
        self.torn += other.torn;
    }
}

pub(super) fn round(common: &Common, round: &Round) -> Tally {
    let mut tally = Tally::default();
    contents(common, round, &mut tally);
    claims(common, round, &mut tally);
    let cuts = round.cuts();
    let mut last: Vec<Option<&Cut>> = Vec::new();
    for cut in cuts.iter() {
        tally.views += 1;
        tally.torn += u64::from(!is_a_moment(common, round, cut));
        if last.len() <= cut.reader {
            last.resize(cut.reader + 1, None);
        }
        let before = last[cut.reader].replace(cut);
        let grows = before
            .is_none_or(|before| before.lengths.iter().zip(&cut.lengths).all(|(a, b)| a <= b));
        common.witness.check(
            grows,
            "what was seen once is seen again",
            Breach::Lost,
            || format!("reader {} saw {:?} later", cut.reader, cut.lengths),
        );
    }
    tally
}

/// Every key is there once, with its value, and nothing else.
fn contents(common: &Common, round: &Round, tally: &mut Tally) {
    let view = round.bag.view();
    for writer in 0..WRITERS {
        for iteration in 0..ITERATIONS {
            let key = common.key(writer, iteration);
            let expected = Sealed::new(writer, iteration, round.number);
            let seen = round.bag.get::<Sealed>(key);
            let is_there = seen
                .as_ref()
                .is_ok_and(|seen| seen.as_deref() == Some(&expected));
            let in_view = view
                .get::<Sealed>(key)
                .is_ok_and(|seen| seen.as_deref() == Some(&expected));
            tally.lost += u64::from(!(is_there && in_view));
            common.witness.check(
                is_there && in_view,
                "no write is lost",
                Breach::Lost,
                || format!("`{key}` of round {} is {seen:?}", round.number),
            );
        }
    }
    let expected = WRITERS * ITERATIONS + 1;
    tally.duplicated += view.len().saturating_sub(expected) as u64;
    common.witness.check(
        view.len() <= expected && round.bag.len() == view.len(),
        "no write is there twice",
        Breach::Duplicated,
        || {
            format!(
                "{} keys, {} counted, {expected} were written",
                view.len(),
                round.bag.len()
            )
        },
    );
}

/// One writer got the key that all want, and the others were told which.
fn claims(common: &Common, round: &Round, tally: &mut Tally) {
    let claims = round.claims();
    let winners: Vec<usize> = claims
        .iter()
        .filter(|claim| claim.refused.is_none())
        .map(|claim| claim.writer)
        .collect();
    let stays = round.bag.get::<Sealed>(SHARED).ok().flatten();
    let [winner] = winners[..] else {
        common
            .witness
            .check(false, "one key has one winner", Breach::Lost, || {
                format!(
                    "round {}: {winners:?} were told that they won; {stays:?} is there",
                    round.number
                )
            });
        return;
    };
    common.witness.check(
        claims.len() == WRITERS
            && stays.as_deref() == Some(&Sealed::new(winner, ITERATIONS, round.number)),
        "the winner's value stays",
        Breach::Lost,
        || format!("{winner} won, {stays:?} is there"),
    );
    for claim in claims.iter() {
        let Some(conflict) = &claim.refused else {
            continue;
        };
        tally.conflicts += 1;
        let (first, own) = (&*common.writers[winner], &*common.writers[claim.writer]);
        let text = conflict.to_string();
        common.witness.check(
            conflict.kind() == OutputConflictKind::Taken
                && conflict.key() == SHARED
                && conflict.writer() == own
                && conflict.attempt() == Round::attempt(claim.writer)
                && conflict.first_writer() == Some(first)
                && conflict.first_attempt() == Some(Round::attempt(winner))
                && text.contains(first)
                && text.contains(own),
            "a conflict names both writers",
            Breach::WrongStatus,
            || format!("{own} lost against {first}: {text}"),
        );
    }
}

/// Whether a cut is one moment: it has all that was done before it began, nothing that began after it, and if it has a
/// write, it has every write that was done before that one began.
fn is_a_moment(common: &Common, round: &Round, cut: &Cut) -> bool {
    let (mut latest_start, mut earliest_end) = (0, u64::MAX);
    let mut is_moment = true;
    for (writer, length) in cut.lengths.iter().enumerate() {
        let length = usize::from(*length);
        if length > 0 {
            let (started, _) = round.ticks(writer, length - 1);
            latest_start = latest_start.max(started);
            is_moment &= started <= cut.done;
        }
        if length < ITERATIONS {
            let (_, ended) = round.ticks(writer, length);
            earliest_end = earliest_end.min(ended);
            is_moment &= ended >= cut.begun;
        }
    }
    is_moment &= earliest_end >= latest_start;
    common.witness.check(is_moment, "a view is one moment of the whole bag", Breach::WrongStatus, || {
        format!(
            "round {}: a view from tick {} to {} has a write that began at {latest_start}, and lacks one that was done at \
             {earliest_end}",
            round.number, cut.begun, cut.done
        )
    });
    is_moment
}
