//! Ids, and whether one comes twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

use stageflow::context::{IdSource as _, RunId, SystemIds};

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError};

/// The engine's ids; the break gives one that it gave before.
pub(super) struct Ids {
    witness: Witness,
    given: AtomicU64,
    first: u128,
}

impl Ids {
    pub(super) fn new(witness: Witness) -> Self {
        Self {
            witness,
            given: AtomicU64::new(0),
            first: SystemIds::new().next_uuid().as_u128(),
        }
    }

    /// A new id, or one that only looks like it.
    pub(super) fn next(&self) -> u128 {
        let id = RunId::generate(&SystemIds::new()).as_uuid().as_u128();
        if !self.witness.is_broken("repeat-ids") {
            return id;
        }
        match self.given.fetch_add(1, Ordering::Relaxed) {
            nth if nth % 100_000 == 99_999 => self.first,
            _ => id,
        }
    }
}

/// A million ids, made by several threads at once. Each is sorted into place; two that are equal lie side by side.
pub(super) fn unique(lab: &mut Lab) -> Result<(), LabError> {
    let (threads, each) = (4, lab.scaled(500_000));
    let ids = &Ids::new(lab.witness());
    let parts: Vec<_> = scope(|scope| {
        let make = move || (0..each).map(|_| ids.next()).collect::<Vec<u128>>();
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let mut all = vec![ids.first];
    for part in parts {
        all.extend(part.map_err(|_| LabError::new("a thread that makes ids panicked"))?);
    }
    all.sort_unstable();
    let twice = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
    lab.check(twice == 0, "no id comes twice", Breach::Duplicated, || {
        format!("{twice} of {} ids", all.len())
    });
    let nil = all.first() == Some(&0);
    lab.check(!nil, "no id is nil", Breach::WrongStatus, || {
        "one is".to_owned()
    });
    lab.count_trials(all.len() as u64);
    lab.metric("ids", "count", all.len() as f64);
    lab.metric("id_duplicates", "count", twice as f64);
    Ok(())
}
