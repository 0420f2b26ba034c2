//! Policies in Cedar: the same as roles where they say the same, and what is wrong with texts.

#![cfg(feature = "cedar")]

mod words;

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use stageflow_auth::{
    CedarErrorKind, CedarPolicy, PolicyEngine as _, Principal, Rbac, Resource, Role, Verdict,
};
use stageflow_context::{OrgId, SystemIds};

use words::{action, permission};

/// `permit` for everything each role permits or inherits. A role inherits from the one before it, or it does not.
fn translated(roles: &[(Vec<String>, bool)]) -> String {
    let mut text = String::new();
    let mut inherited = BTreeSet::new();
    for (place, (permits, inherits)) in roles.iter().enumerate() {
        if !*inherits {
            inherited.clear();
        }
        inherited.extend(permits.iter().cloned());
        for permission in &inherited {
            let policy = format!(
                "permit(principal in Role::\"r{place}\", action in Action::\"{permission}\", resource);\n"
            );
            text.push_str(&policy);
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn roles_translated_to_cedar_decide_the_same(
        roles in vec((vec(permission(), 0..3), any::<bool>()), 0..5),
        held in btree_set(0_usize..6, 0..4),
        action in action(),
    ) {
        let written = roles.iter().enumerate().map(|(place, (permits, inherits))| {
            let role = Role::new(format!("r{place}"));
            let role = permits.iter().fold(role, |role, text| role.permits(&**text));
            match place.checked_sub(1) {
                Some(before) if *inherits => role.inherits(format!("r{before}")),
                _ => role,
            }
        });
        let rbac = Rbac::new(written).unwrap();
        let cedar = CedarPolicy::new(&translated(&roles)).unwrap();
        let who = Principal::new("ada", OrgId::generate(&SystemIds::new()));
        let who = held.iter().fold(who, |who, role| who.with_role(format!("r{role}")));
        let what = Resource::new("document", "17");
        let [ours, theirs] = [
            rbac.decide(&who, &action, &what),
            cedar.decide(&who, &action, &what),
        ];
        prop_assert_eq!(ours.verdict(), theirs.verdict(), "{} and {}", ours, theirs);
    }
}

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

/// Reads an attribute that is not there.
const BROKEN: &str = "when { resource.nothing == 1 };";

#[test]
fn a_policy_that_cannot_be_evaluated_is_not_left_out() {
    let permits = "permit(principal, action, resource);";
    let forbids = "forbid(principal, action, resource);";
    let broken_permit = format!("permit(principal, action, resource) {BROKEN}");
    let broken_forbid = format!("forbid(principal, action, resource) {BROKEN}");
    let other = "permit(principal, action == Action::\"mail:send\", resource);";
    let table = [
        (vec![forbids], Verdict::Denied),
        (vec![permits, forbids], Verdict::Denied),
        (vec![permits, forbids, &broken_permit], Verdict::Denied),
        (vec![forbids, &broken_forbid], Verdict::Denied),
        (vec![permits, &broken_forbid], Verdict::Undecided),
        (
            vec![permits, &broken_forbid, &broken_permit],
            Verdict::Undecided,
        ),
        (vec![permits], Verdict::Allowed),
        (vec![permits, &broken_permit], Verdict::Allowed),
        (vec![&broken_permit], Verdict::Undecided),
        (vec![&broken_permit, &broken_forbid], Verdict::Undecided),
        (vec![&broken_forbid], Verdict::Denied),
        (vec![other], Verdict::Denied),
        (vec![], Verdict::Denied),
    ];
    for (policies, expected) in table {
        let text = policies.join("\n");
        let cedar = CedarPolicy::new(&text).unwrap();
        let who = Principal::new("ada", org());
        let decision = cedar.decide(&who, "kb:read", &Resource::new("document", "17"));
        assert_eq!(decision.verdict(), expected, "{text}\n{decision}");
    }
}

#[test]
fn orgs_regions_and_scopes_are_there_to_be_asked_about() {
    let cedar = CedarPolicy::new(
        r#"
        @id("own")
        permit(principal, action in Action::"kb:*", resource)
        when { principal.scopes.contains("kb") && resource has org && principal.org == resource.org
            && resource has region && principal has region && principal.region == resource.region };
        @id("drafts")
        forbid(principal, action, resource) when { resource.kind == "draft" };
        "#,
    )
    .unwrap();
    let [own, other] = [org(), org()];
    let ada = Principal::new("ada", own).with_scope("kb").in_region("eu");
    let there = |kind: &'static str, org: OrgId, region: &'static str| {
        let what = Resource::new(kind, "17").owned_by(org).in_region(region);
        cedar.decide(&ada, "kb:docs:read", &what)
    };
    assert!(there("document", own, "eu").is_allowed());
    assert!(!there("document", other, "eu").is_allowed());
    assert!(!there("document", own, "us").is_allowed());
    let draft = there("draft", own, "eu");
    assert_eq!(
        draft.to_string(),
        "denied by `cedar`: policy `drafts` forbids it"
    );
}

#[test]
fn what_is_wrong_with_policies_is_said_with_its_place() {
    let error =
        CedarPolicy::new("permit(principal, action, resource);\n  permt(principal);").unwrap_err();
    assert_eq!(error.kind(), CedarErrorKind::Policies);
    assert!(
        error
            .to_string()
            .starts_with("SF0631: these are no Cedar policies: line 2, column 3: "),
        "{error}"
    );
}

const SCHEMA: &str = r#"
    entity Role;
    entity Org;
    entity User in [Role, Org] { org: String, roles: Set<String>, scopes: Set<String>, region?: String };
    entity Resource in [Org] { kind: String, id: String, org?: String, region?: String };
    action "kb:read" appliesTo { principal: User, resource: Resource };
"#;

#[test]
fn policies_are_held_against_a_schema() {
    let reads = "permit(principal in Role::\"reader\", action == Action::\"kb:read\", resource);";
    let cedar = CedarPolicy::with_schema(reads, SCHEMA).unwrap();
    let ada = Principal::new("ada", org()).with_role("reader");
    let what = Resource::new("document", "17").owned_by(ada.org());
    assert!(cedar.decide(&ada, "kb:read", &what).is_allowed());
    // The schema does not know it, so nobody can tell.
    let unknown = cedar.decide(&ada, "kb:write", &what);
    assert_eq!(unknown.verdict(), Verdict::Undecided, "{unknown}");

    let misfit = "permit(principal, action == Action::\"kb:raed\", resource);";
    let error = CedarPolicy::with_schema(misfit, SCHEMA).unwrap_err();
    assert_eq!(error.code(), "SF0633");
    assert!(error.to_string().contains("kb:raed"), "{error}");

    let error = CedarPolicy::with_schema(reads, "entity Role").unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (CedarErrorKind::Schema, "SF0632")
    );
    assert!(error.to_string().contains("line 1, column 12"), "{error}");
}
