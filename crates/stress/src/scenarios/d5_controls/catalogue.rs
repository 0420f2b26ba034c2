//! The list of what the built-in scenarios break.

use std::collections::BTreeSet;

use crate::scenario::Sabotage;
use crate::{Breach, Lab, Registry};

/// Every scenario can fail, breaks only what can be broken, and together they break everything that can be.
pub(super) fn check(lab: &Lab) {
    let registry = Registry::builtin();
    let (mut total, mut used) = (0, BTreeSet::new());
    for scenario in registry
        .iter()
        .filter(|scenario| scenario.needs().is_none())
    {
        let id = scenario.id();
        let complete = !scenario.controls.is_empty() && !scenario.proves.is_empty();
        lab.check(
            complete,
            "every scenario says what it proves, and has a control",
            Breach::ControlMissed,
            || id.to_owned(),
        );
        let mut names = BTreeSet::new();
        for control in &scenario.controls {
            total += 1;
            lab.check(
                names.insert(control.name),
                "controls of a scenario have names of their own",
                Breach::ControlMissed,
                || format!("{id}: {}", control.name),
            );
            if let Sabotage::Engine { fault, .. } = control.sabotage {
                used.insert(fault);
            }
        }
    }
    lab.metric("controls_total", "controls", f64::from(total));
    faults(lab, &registry, &used);
}

#[cfg(feature = "sabotage")]
fn faults(lab: &Lab, registry: &Registry, used: &BTreeSet<&str>) {
    let known: BTreeSet<&str> = stageflow_executor::Fault::ALL
        .iter()
        .map(|fault| fault.name())
        .collect();
    let unknown: Vec<_> = used.difference(&known).collect();
    lab.check(
        unknown.is_empty(),
        "controls break what can be broken",
        Breach::ControlMissed,
        || format!("no fault is called {unknown:?}"),
    );
    let unused: Vec<_> = known.difference(used).collect();
    lab.metric("faults_without_control", "faults", unused.len() as f64);
    // While scenarios wait for their code their controls do, too.
    let all = registry
        .iter()
        .all(|scenario| scenario.needs() != Some("its code"));
    if all {
        lab.check(
            unused.is_empty(),
            "everything that can be broken is",
            Breach::ControlMissed,
            || format!("no scenario breaks {unused:?}"),
        );
    } else {
        lab.log(format!("no scenario breaks {unused:?} yet"));
    }
}

#[cfg(not(feature = "sabotage"))]
fn faults(lab: &Lab, _registry: &Registry, _used: &BTreeSet<&str>) {
    lab.log("this build cannot break the engine: its faults were not looked at");
}
