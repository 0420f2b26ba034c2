//! The same content, put in in another order.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stageflow::context::{Extension, SnapshotError};

use super::values::empty;
use crate::scenarios::d1_snapshots::ops::{text, value};
use crate::{Breach, Lab, LabError};

/// Its JSON has whatever order it is given.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Loose(Value);

impl Extension for Loose {
    const NAME: &'static str = "stress.loose";
}

pub(super) fn of_keys(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(500);
    lab.trials(count, |lab, trial| {
        let mut rng = trial.seed.rng();
        let mut entries: Vec<(String, Value)> = (0..rng.random_range(2..20))
            .map(|at| (format!("{}{at}", text(&mut rng)), value(&mut rng, 3)))
            .collect();
        let build = |entries: &[(String, Value)]| -> Result<(String, String), SnapshotError> {
            let object: Map<String, Value> = entries.iter().cloned().collect();
            let mut snapshot = empty(lab).with_extension(&Loose(Value::Object(object.clone())))?;
            for (key, value) in entries {
                snapshot = snapshot.with_metadata(key.clone(), value.clone())?;
            }
            let mut text = snapshot
                .with_metadata("inner", Value::Object(object))?
                .to_json()?;
            if lab.is_broken("key-order") {
                text.push_str(&entries[0].0);
            }
            Ok((text, snapshot.digest()?))
        };
        let first = build(&entries).map_err(LabError::new)?;
        entries.shuffle(&mut rng);
        let second = build(&entries).map_err(LabError::new)?;
        lab.check(
            first == second,
            "the order of keys changes no byte",
            Breach::WrongStatus,
            || format!("{first:?} and {second:?}"),
        );
        // And something else is something else.
        let mut other = entries.clone();
        other[0].1 = Value::String("another".to_owned());
        let other = build(&other).map_err(LabError::new)?;
        lab.check(
            other.1 != first.1,
            "other content has another digest",
            Breach::Lost,
            || format!("{first:?}"),
        );
        Ok(())
    })
}
