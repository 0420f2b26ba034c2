//! Flipped bytes and cut texts.

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::{ContextSnapshot, SeededIds, SnapshotError, SnapshotErrorKind};

use super::values::empty;
use crate::scenarios::d1_snapshots::model::Model;
use crate::scenarios::d1_snapshots::ops::{Op, Twin};
use crate::{Breach, Lab, LabError};

#[derive(Default)]
struct Tally {
    flips: u64,
    harmless: u64,
    cuts: u64,
}

pub(super) fn flips_and_cuts(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    let count = lab.scaled(8);
    lab.trials(count, |lab, trial| {
        let (ids, mut rng) = (SeededIds::new(trial.seed.get()), trial.seed.rng());
        let snapshot = empty(lab);
        let mut twin = Twin {
            model: Model::of(snapshot.identity().clone()),
            snapshot,
        };
        for op in &Op::ALL[..13] {
            twin = twin.apply(*op, &ids, &mut rng).map_err(LabError::new)?;
        }
        let text = twin.snapshot.to_json().map_err(LabError::new)?;
        flip(lab, &twin, &text, &mut rng, &mut tally);
        cut(lab, &twin, &text, &mut tally);
        Ok(())
    })?;
    let Tally {
        flips,
        harmless,
        cuts,
    } = tally;
    lab.check(
        flips == 0 || harmless * 100 < flips,
        "few flips leave the content as it is",
        Breach::WrongStatus,
        || format!("{harmless} of {flips}"),
    );
    lab.count_trials(flips + cuts);
    lab.metric("flips", "count", flips as f64);
    lab.metric("flips_without_effect", "count", harmless as f64);
    lab.metric("cuts", "count", cuts as f64);
    Ok(())
}

/// Every byte once, each with another bit.
fn flip(lab: &Lab, twin: &Twin, text: &str, rng: &mut ChaCha8Rng, tally: &mut Tally) {
    for at in 0..text.len() {
        if lab.is_over() {
            break;
        }
        let mut bytes = text.to_owned().into_bytes();
        bytes[at] ^= 1 << rng.random_range(0..8);
        // What is no text any more cannot even be passed.
        let Ok(altered) = String::from_utf8(bytes) else {
            continue;
        };
        tally.flips += 1;
        match read(lab, &altered, &twin.snapshot) {
            Err(_) => {}
            // The case of an exponent's letter or of an escaped digit: another text, and the same content.
            Ok(same) if twin.model.differs(&same).is_none() => tally.harmless += 1,
            Ok(_) => {
                lab.check(false, "a flipped byte is noticed", Breach::Lost, || {
                    format!("byte {at} of {altered}")
                });
            }
        }
    }
}

fn cut(lab: &Lab, twin: &Twin, text: &str, tally: &mut Tally) {
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        if lab.is_over() {
            break;
        }
        tally.cuts += 1;
        let read = read(lab, &text[..at], &twin.snapshot);
        let kind = read.err().map(|error| error.kind());
        let said = kind == Some(SnapshotErrorKind::Truncated);
        lab.check(
            said,
            "a cut is noticed, and said to be one",
            Breach::Lost,
            || {
                format!(
                    "{kind:?} after {at} of {} bytes: {}",
                    text.len(),
                    &text[..at]
                )
            },
        );
    }
}

/// The breaks: a reader that does not look at the digest, and one that takes what it gets.
fn read(
    lab: &Lab,
    altered: &str,
    before: &ContextSnapshot,
) -> Result<ContextSnapshot, SnapshotError> {
    let read = ContextSnapshot::from_json(altered);
    match read.as_ref().map_err(SnapshotError::kind) {
        Err(SnapshotErrorKind::Altered) if lab.is_broken("unchecked-digest") => {
            Ok(before.with_input_text("altered"))
        }
        Err(SnapshotErrorKind::Truncated) if lab.is_broken("padded-cut") => Ok(before.clone()),
        _ => read,
    }
}
