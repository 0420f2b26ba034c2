//! Flipped bytes and cut texts.

use rand::RngExt as _;
use stageflow::context::{ContextSnapshot, SeededIds, SnapshotError, SnapshotErrorKind};

use super::values::empty;
use crate::scenarios::d1_snapshots::model::Model;
use crate::scenarios::d1_snapshots::ops::{Op, Twin};
use crate::{Breach, Lab, LabError};

pub(super) fn flips_and_cuts(lab: &mut Lab) -> Result<(), LabError> {
    let (mut flips, mut cuts, mut harmless) = (0_u64, 0_u64, 0_u64);
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
        let read = |altered: &str| read(lab, altered, &twin.snapshot);
        for at in 0..text.len() {
            if lab.is_over() {
                break;
            }
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << rng.random_range(0..8);
            // What is no text any more cannot even be passed.
            let Ok(altered) = String::from_utf8(bytes) else {
                continue;
            };
            flips += 1;
            match read(&altered) {
                Err(_) => {}
                // The case of an exponent's letter or of an escaped digit: another text, and the same content.
                Ok(same) if twin.model.differs(&same).is_none() => harmless += 1,
                Ok(_) => {
                    lab.check(false, "a flipped byte is noticed", Breach::Lost, || {
                        format!("byte {at} of {altered}")
                    });
                }
            }
        }
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            if lab.is_over() {
                break;
            }
            cuts += 1;
            let kind = read(&text[..at]).err().map(|error| error.kind());
            lab.check(
                kind == Some(SnapshotErrorKind::Truncated),
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
        Ok(())
    })?;
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
