//! Roles against the plainest way to say what they permit, and all that can be wrong with them.

#![cfg(test)]

mod words;

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use stageflow_auth::{PolicyEngine as _, Principal, Rbac, Resource, Role};
use stageflow_context::{OrgId, SystemIds};

use words::{action, permission};

/// A role: what it permits, and from which of those before it it inherits.
#[derive(Clone, Debug)]
struct Written {
    permits: Vec<String>,
    inherits: Vec<usize>,
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let role = (
        vec(permission(), 0..4),
        vec(any::<prop::sample::Index>(), 0..3),
    );
    vec(role, 0..6).prop_map(|roles| {
        let inherits = |place: usize, from: Vec<prop::sample::Index>| match place {
            0 => Vec::new(),
            _ => from.iter().map(|index| index.index(place)).collect(),
        };
        let roles = roles.into_iter().enumerate();
        roles
            .map(|(place, (permits, from))| Written {
                permits,
                inherits: inherits(place, from),
            })
            .collect()
    })
}

fn name(place: usize) -> String {
    format!("r{place}")
}

fn rbac(roles: &[Written]) -> Rbac {
    let roles = roles.iter().enumerate().map(|(place, written)| {
        let role = Role::new(name(place));
        let role = written
            .permits
            .iter()
            .fold(role, |role, text| role.permits(&**text));
        written
            .inherits
            .iter()
            .fold(role, |role, from| role.inherits(name(*from)))
    });
    // From the last to the first: the order in which they are written does not matter.
    let mut roles: Vec<_> = roles.collect();
    roles.reverse();
    Rbac::new(roles).unwrap()
}

/// Everything a role permits, itself or by those it inherits from, written out.
fn all_of(roles: &[Written], place: usize) -> BTreeSet<String> {
    let own = roles[place].permits.iter().cloned();
    let inherited = roles[place]
        .inherits
        .iter()
        .flat_map(|from| all_of(roles, *from));
    own.chain(inherited).collect()
}

/// Word by word.
fn matches(permission: &str, action: &str) -> bool {
    let mut words = action.split(':');
    for wanted in permission.split(':') {
        match (wanted, words.next()) {
            ("*", Some(_)) => return true,
            (wanted, Some(word)) if wanted == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

fn who(roles: &BTreeSet<usize>) -> Principal {
    let who = Principal::new("ada", OrgId::generate(&SystemIds::new()));
    roles
        .iter()
        .fold(who, |who, role| who.with_role(name(*role)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn roles_permit_what_they_say_and_inherit_and_nothing_else(
        roles in written(),
        held in prop::collection::btree_set(0_usize..7, 0..4),
        action in action(),
    ) {
        let known = held.iter().filter(|role| **role < roles.len());
        let permitted: BTreeSet<String> = known.flat_map(|role| all_of(&roles, *role)).collect();
        let expected = permitted.iter().any(|permission| matches(permission, &action));
        let decision = rbac(&roles).decide(&who(&held), &action, &Resource::new("document", "17"));
        prop_assert_eq!(decision.is_allowed(), expected, "{}", decision);
    }

    #[test]
    fn roles_that_inherit_in_any_way_are_taken_or_refused_with_a_circle(
        edges in btree_map(0_usize..6, vec(0_usize..6, 0..3), 0..6),
    ) {
        let role = |(place, from): (&usize, &Vec<usize>)| {
            from.iter().fold(Role::new(name(*place)), |role, from| role.inherits(name(*from)))
        };
        let there: BTreeMap<usize, Vec<usize>> = edges
            .iter()
            .map(|(place, from)| {
                let from = from.iter().copied().filter(|from| edges.contains_key(from));
                (*place, from.collect())
            })
            .collect();
        let reaches_itself = |start: usize| {
            let mut seen = BTreeSet::new();
            let mut next = there[&start].clone();
            while let Some(place) = next.pop() {
                if seen.insert(place) {
                    next.extend(&there[&place]);
                }
            }
            seen.contains(&start)
        };
        let expected = there.keys().any(|place| reaches_itself(*place));
        let made = Rbac::new(there.iter().map(role));
        prop_assert_eq!(made.is_err(), expected, "{:?}", made);
        if let Err(error) = made {
            prop_assert!(error.problems().iter().all(|problem| problem.code() == "SF0629"));
        }
    }
}

fn may(rbac: &Rbac, role: &str, action: &str) -> bool {
    let who = Principal::new("ada", OrgId::generate(&SystemIds::new())).with_role(role);
    rbac.decide(&who, action, &Resource::new("document", "17"))
        .is_allowed()
}

#[test]
fn a_wildcard_is_one_word_or_more_and_only_at_the_end() {
    let rbac = Rbac::new([
        Role::new("curator").permits("kb:*"),
        Role::new("root").permits("*"),
    ])
    .unwrap();
    assert!(may(&rbac, "curator", "kb:read"));
    assert!(may(&rbac, "curator", "kb:docs:read"));
    assert!(!may(&rbac, "curator", "kb"));
    assert!(!may(&rbac, "curator", "kbx:read"));
    assert!(may(&rbac, "root", "kb"));
    // What is no permission is permitted to nobody.
    for odd in ["", "*", "kb:*", "kb:", ":kb", "kb read", "kb:\u{e4}"] {
        assert!(!may(&rbac, "root", odd), "{odd:?}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = Rbac::new([
        Role::new("a")
            .permits("kb:*:read")
            .permits("")
            .inherits("b"),
        Role::new("b").inherits("c"),
        Role::new("c").inherits("a"),
        Role::new("selfish").inherits("selfish"),
        Role::new("d").inherits("nobody"),
        Role::new("d").permits("kb:read"),
        Role::new("with space"),
    ])
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "7 problems with roles:\n\
         - SF0630: role `d` is there twice, which leaves open what it permits; keep one, and say all of it there\n\
         - SF0627: a role is called \"with space\", which is no name; use 1 to 128 bytes without spaces\n\
         - SF0626: role `a` permits \"kb:*:read\", which is no permission; use words of letters, digits, `_`, `-` and `.`, \
           joined by colons, such as `kb:read`, with `*` in the place of the last word for all of them\n\
         - SF0626: role `a` permits \"\", which is no permission; use words of letters, digits, `_`, `-` and `.`, joined by \
           colons, such as `kb:read`, with `*` in the place of the last word for all of them\n\
         - SF0628: role `d` inherits from `nobody`, which is not there; add it, or correct the name\n\
         - SF0629: roles inherit from each other in a circle: `a` → `b` → `c` → `a`; take one of these away\n\
         - SF0629: roles inherit from each other in a circle: `selfish` → `selfish`; take one of these away"
    );
    assert_eq!(error.problems().len(), 7);
}

#[test]
fn a_long_line_of_roles_is_no_deep_one() {
    let roles = (0..3000).map(|place: u32| {
        let role = Role::new(format!("r{place}"));
        match place.checked_sub(1) {
            None => role.permits("kb:read"),
            Some(before) => role.inherits(format!("r{before}")),
        }
    });
    let rbac = Rbac::new(roles).unwrap();
    assert!(may(&rbac, "r2999", "kb:read"));
    assert!(!may(&rbac, "r2999", "kb:write"));
}
