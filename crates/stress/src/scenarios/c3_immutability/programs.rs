//! Generated programs over the whole interface: what is not changed stays, and stays where it is.

use rand::RngExt as _;
use std::collections::BTreeMap;

use stageflow::context::{ContextSnapshot, SeededIds};

use crate::scenarios::d1_snapshots::model::{Model, places};
use crate::scenarios::d1_snapshots::ops::{Op, Twin};
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError};

const STEPS: usize = 24;

pub(super) fn derive(lab: &mut Lab) -> Result<(), LabError> {
    let mut derived = 0_u64;
    let count = lab.scaled(2000);
    lab.trials(count, |lab, trial| {
        let (ids, mut rng) = (SeededIds::new(trial.seed.get()), trial.seed.rng());
        let identity = full_identity(&ids);
        let mut parent = Twin {
            snapshot: ContextSnapshot::new(identity.clone()),
            model: Model::of(identity),
        };
        for _ in 0..STEPS {
            let op = Op::ALL[rng.random_range(0..Op::ALL.len())];
            let before = parent.snapshot.digest().map_err(LabError::new)?;
            let lay = places(&parent.snapshot);
            let mut child = parent.apply(op, &ids, &mut rng).map_err(LabError::new)?;
            derived += 1;
            if derived % 5000 == 4999 && lab.is_broken("write-through") {
                parent.snapshot = parent.snapshot.with_topology("written through");
            }
            if derived % 5000 == 4999 && lab.is_broken("copy-all") {
                let text = child.snapshot.to_json().map_err(LabError::new)?;
                child.snapshot = ContextSnapshot::from_json(&text).map_err(LabError::new)?;
            }
            check_parent(lab, op, &parent.snapshot, &before, &lay)?;
            check_child(lab, op, &child, &lay);
            parent = child;
        }
        Ok(())
    })?;
    lab.metric("derivations", "count", derived as f64);
    Ok(())
}

fn check_parent(
    lab: &Lab,
    op: Op,
    parent: &ContextSnapshot,
    before: &str,
    lay: &BTreeMap<String, usize>,
) -> Result<(), LabError> {
    let after = parent.digest().map_err(LabError::new)?;
    let same = before == after && *lay == places(parent);
    lab.check(same, "a parent stays as it was", Breach::Leaked, || {
        format!("{op:?} changed it from {before} to {after}")
    });
    Ok(())
}

fn check_child(lab: &Lab, op: Op, child: &Twin, lay: &BTreeMap<String, usize>) {
    let differs = child.model.differs(&child.snapshot);
    lab.check(
        differs.is_none(),
        "a derived snapshot holds what its model holds",
        Breach::WrongStatus,
        || format!("after {op:?}, {differs:?} is something else"),
    );
    let lies = places(&child.snapshot);
    let may = |part: &str| op.moves().iter().any(|moves| part.starts_with(moves));
    let moved: Vec<&String> = lay
        .iter()
        .filter(|(part, at)| !may(part) && lies.get(*part) != Some(at))
        .map(|(part, _)| part)
        .collect();
    lab.check(
        moved.is_empty(),
        "what did not change is shared",
        Breach::PerfGateDoubled,
        || format!("{op:?} moved {moved:?}"),
    );
}
