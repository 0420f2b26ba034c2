//! Many runs of many people at once on one engine, against who may do what, written out.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use stageflow::auth::{Authorize, OrgOnly, Principal, Rbac, Role, all_of};
use stageflow::prelude::*;
use stageflow_testkit::{Property, paused, script};

use super::{as_, decisions, lab, org};

/// What each role permits.
const ROLES: [(&str, &[&str]); 3] = [("a", &["x:1"]), ("b", &["x:2", "y:1"]), ("c", &["x:*"])];
const ACTIONS: [&str; 4] = ["x:1", "x:2", "y:1", "z:1"];

/// The roles somebody holds, and what each of the stages in a row requires.
type Case = (BTreeSet<usize>, Vec<BTreeSet<usize>>);

fn may(held: &BTreeSet<usize>, action: &str) -> bool {
    held.iter().any(|role| match ROLES[*role] {
        (_, ["x:*"]) => action.starts_with("x:"),
        (_, permits) => permits.contains(&action),
    })
}

fn pipeline(stages: &[BTreeSet<usize>]) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("row");
    let mut last = p.input::<u64>();
    for (place, requires) in stages.iter().enumerate() {
        let stage = p.stage(format!("s{place}"), script::ok::<Arc<u64>, u64>(1));
        let stage = requires
            .iter()
            .fold(stage, |stage, action| stage.require(ACTIONS[*action]));
        last = stage.after(last);
    }
    p.output(last).build().unwrap()
}

/// How many questions there are until the end, and the stage that is denied.
fn expected((held, stages): &Case) -> (usize, Option<usize>) {
    let mut questions = 0;
    for (place, requires) in stages.iter().enumerate() {
        for action in requires {
            questions += 1;
            if !may(held, ACTIONS[*action]) {
                return (questions, Some(place));
            }
        }
    }
    (questions, None)
}

#[test]
fn everybody_may_do_what_they_may_and_each_question_is_told_once() {
    let held = prop::collection::btree_set(0..ROLES.len(), 0..3);
    let requires = prop::collection::btree_set(0..ACTIONS.len(), 0..3);
    let case = (held, prop::collection::vec(requires, 1..5));
    let cases = prop::collection::vec(case, 1..8);
    let property = Property::new("who may do what, and what is told of it").cases(200);
    property.holds_for(&cases, |cases| paused(many(cases)));
}

async fn many(cases: Vec<Case>) -> Result<(), TestCaseError> {
    let roles = ROLES.map(|(name, permits)| {
        permits.iter().fold(Role::new(name), |role, permission| {
            role.permits(*permission)
        })
    });
    let rbac = Rbac::new(roles).unwrap();
    let lab = lab(Authorize::new(all_of(rbac).and(OrgOnly)));
    let runs = cases.iter().enumerate().map(async |(place, case)| {
        let who = Principal::new(format!("user-{place}"), org());
        let who = case
            .0
            .iter()
            .fold(who, |who, role| who.with_role(ROLES[*role].0));
        let report = lab.engine.run(&pipeline(&case.1), 1, as_(&who)).await;
        (place, case, report)
    });
    let ended = join_all(runs).await;
    let told = decisions(&lab.sink);
    let mut all = 0;
    for (place, case, report) in ended {
        let (questions, denied) = expected(case);
        let outcome = if denied.is_some() {
            Outcome::Denied
        } else {
            Outcome::Succeeded
        };
        prop_assert_eq!(report.outcome(), outcome);
        for stage in 0..case.1.len() {
            let ran = report.value_of(&format!("s{stage}")).is_some();
            prop_assert_eq!(
                ran,
                denied.is_none_or(|denied| stage < denied),
                "stage {}",
                stage
            );
        }
        let subject = format!("user-{place}");
        let own: Vec<_> = told
            .iter()
            .filter(|told| told["subject"] == *subject)
            .collect();
        prop_assert_eq!(own.len(), questions);
        let denials = own.iter().filter(|told| told["effect"] == "denied").count();
        prop_assert_eq!(denials, usize::from(denied.is_some()));
        all += questions;
    }
    prop_assert_eq!(told.len(), all);
    Ok(())
}
