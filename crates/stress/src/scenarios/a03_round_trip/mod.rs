//! What is serialised comes back the same, or not at all.

mod damage;
mod limits;
mod order;
mod values;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A03-ROUND-TRIP",
        "what is serialised comes back the same, or not at all",
    )
    .proves(
        "numbers to the bit, texts of every plane, keys of any form, nesting and counts up to the limits come back as they \
         were; what cannot be carried is a typed error; the same content gives the same bytes in whatever order it was put \
         in; no flipped byte and no cut goes unnoticed",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-002"])
    .modes(["C9", "C10", "C11"])
    .expected(Duration::from_secs(4))
    .control(Control::own("lossy-float", "one number in 1000 goes through 32 bits"))
    .control(Control::own("cut-at-nul", "a text ends at its first NUL"))
    .control(Control::own("negative-zero", "-0.0 comes back as 0.0"))
    .control(Control::own("key-order", "bytes depend on the order in which keys were put in"))
    .control(Control::own("unchecked-digest", "an altered text is read without looking at its digest"))
    .control(Control::own("padded-cut", "a text that was cut is read as far as it goes"))
    .control(Control::own("silent-limit", "what is over a limit is left out without a word"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    if concerns(lab, &[]) {
        values::whole_snapshots(lab)?;
    }
    if concerns(lab, &["lossy-float", "negative-zero"]) {
        values::numbers(lab)?;
    }
    if concerns(lab, &["cut-at-nul"]) {
        values::texts(lab)?;
    }
    if concerns(lab, &["key-order"]) {
        order::of_keys(lab)?;
    }
    if concerns(lab, &["unchecked-digest", "padded-cut"]) {
        damage::flips_and_cuts(lab)?;
    }
    if concerns(lab, &["silent-limit"]) {
        limits::refused(lab)?;
    }
    Ok(())
}

/// A control breaks one thing: only the part that should notice is run then.
fn concerns(lab: &Lab, breaks: &[&str]) -> bool {
    !lab.is_control() || breaks.iter().any(|name| lab.is_broken(name))
}
