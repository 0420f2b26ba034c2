//! Tokens with anything wrong that can be, for every org: each cell is denied unless the table says otherwise.

mod desk;
mod draw;

use std::collections::BTreeSet;
use std::sync::Arc;

use stageflow::prelude::*;
use stageflow_testkit::tokens::SigningKey;
use tokio::time::{Duration, sleep};

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier};
use desk::{Desk, Published, Said};
use draw::{Case, Cell, Keys, Rotation};

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-TOKENS", "every bad token with every org")
        .proves(
            "a token comes in if nothing about it is wrong and its org is the one that the run asks for, and in no other cell: what \
             is refused is refused with the code of the first thing that is wrong, before a stage has run, with one event that \
             says so under an org that was proved; no part of a token is told",
        )
        .theme(Theme::Fri)
        .tier(Tier::Smoke)
        .modes(["T1", "T6"])
        .expected(Duration::from_secs(3))
        .control(Control::own(
            "forgives-audience",
            "lets in who shows a token for another service",
        ))
        .control(Control::own(
            "forgives-signature",
            "lets in who shows a token that nobody here has signed",
        ))
        .control(Control::own(
            "forgives-org",
            "takes who has no org for one of the org that was asked for",
        ))
        .control(Control::own("forgives-time", "takes tokens that are over"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let keys = Keys::new();
    let mut cells: BTreeSet<Cell> = BTreeSet::new();
    let mut mismatched = 0_u64;
    lab.trials(lab.scaled(1000), |lab, trial| {
        let case = Case::draw(&mut trial.seed.rng());
        cells.insert(case.class());
        mismatched += u64::from(!once(lab, &keys, &case)?);
        Ok(())
    })?;
    lab.metric("table_cells_mismatched", "count", mismatched as f64);
    lab.metric("table_cells_seen", "count", cells.len() as f64);
    lab.gate("table_cells_mismatched", Op::AtMost, 0.0);
    Ok(())
}

/// One run. Whether it went as the table says.
fn once(lab: &mut Lab, keys: &Keys, case: &Case) -> Result<bool, LabError> {
    let forgives = ["audience", "signature", "org", "time"]
        .into_iter()
        .find(|what| lab.is_broken(&format!("forgives-{what}")));
    let published = Published::new(keys.first.jwks());
    let desk = Desk::new(lab.engine(), &published, case, forgives)?;
    let token = case.token(keys);
    let said = lab.paused(async {
        if let Some(new) = case.rotation.key(keys) {
            // The engine knows the first key, and then there is another one.
            desk.run(Some(first(keys, case))).await;
            published.publish(new.jwks());
            sleep(case.rotation.after()).await;
        }
        desk.run(token.clone()).await
    });
    Ok(judge(lab, case, token.as_deref(), &said))
}

/// A token that is valid, so that the keys are fetched.
fn first(keys: &Keys, case: &Case) -> String {
    Case::valid(case.asked).token_of(&keys.first)
}

fn judge(lab: &Lab, case: &Case, token: Option<&str>, said: &Said) -> bool {
    let expected = case.cell();
    let told = || format!("{said:?}, not {expected:?}: {case:?}");
    let cell = lab.check(
        said.code == expected && (said.outcome == Outcome::Succeeded) == expected.is_none(),
        "a token comes in or not as the table says",
        Breach::CrossTenant,
        told,
    );
    let calls = lab.check(
        said.calls == u32::from(expected.is_none()),
        "no stage runs for who was not let in",
        Breach::Leaked,
        told,
    );
    let proved = match expected {
        None => Some(case.asked),
        Some("SF0610") => Some(case.org()),
        Some(_) => None,
    };
    let orgs = lab.check(
        said.orgs.iter().all(|org| *org == proved),
        "a run is told of under an org that was proved",
        Breach::CrossTenant,
        told,
    );
    let events = match expected {
        None => "auth.login",
        Some(_) => "auth.failure",
    };
    let audits = lab.check(
        said.audits == [events],
        "who came and what became of it is told once",
        Breach::Lost,
        told,
    );
    let parts = || {
        token
            .iter()
            .flat_map(|token| token.split('.'))
            .filter(|part| part.len() >= 12)
    };
    let silent = lab.check(
        !parts().any(|part| said.text.contains(part)),
        "no part of a token is told",
        Breach::Leaked,
        || format!("in the events or the error of {case:?}"),
    );
    cell && calls && orgs && audits && silent
}

impl Rotation {
    fn key(self, keys: &Keys) -> Option<&Arc<SigningKey>> {
        (self != Self::No).then_some(&keys.second)
    }
}
