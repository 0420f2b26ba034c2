//! Policies together, orgs and regions: each table, cell by cell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stageflow_auth::{
    Decision, OrgOnly, PolicyEngine, Principal, Regions, Residency, Resource, Scopes, Verdict,
    all_of, any_of,
};
use stageflow_context::{OrgId, SystemIds};

/// Says what it is told to say, and counts.
#[derive(Clone)]
struct Says(&'static str, Verdict, Arc<AtomicU32>);

impl Says {
    fn new(name: &'static str, verdict: Verdict) -> Self {
        Self(name, verdict, Arc::default())
    }
}

impl PolicyEngine for Says {
    fn name(&self) -> &str {
        self.0
    }

    fn decide(&self, _: &Principal, _: &str, _: &Resource) -> Decision {
        self.2.fetch_add(1, Ordering::Relaxed);
        match self.1 {
            Verdict::Allowed => Decision::allow("yes"),
            Verdict::Undecided => Decision::undecided("perhaps"),
            _ => Decision::deny("no"),
        }
    }
}

fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

fn asked(policy: &impl PolicyEngine) -> Decision {
    policy.decide(
        &Principal::new("ada", org()),
        "kb:read",
        &Resource::new("document", "17"),
    )
}

const YES: Verdict = Verdict::Allowed;
const NO: Verdict = Verdict::Denied;
const UNKNOWN: Verdict = Verdict::Undecided;
const ALL: [Verdict; 3] = [YES, NO, UNKNOWN];

#[test]
fn two_policies_say_what_the_tables_say() {
    let all = [
        ((YES, YES), (YES, "a")),
        ((YES, NO), (NO, "b")),
        ((YES, UNKNOWN), (UNKNOWN, "b")),
        ((NO, YES), (NO, "a")),
        ((NO, NO), (NO, "a")),
        ((NO, UNKNOWN), (NO, "a")),
        ((UNKNOWN, YES), (UNKNOWN, "a")),
        ((UNKNOWN, NO), (NO, "b")),
        ((UNKNOWN, UNKNOWN), (UNKNOWN, "a")),
    ];
    let any = [
        ((YES, YES), (YES, "a")),
        ((YES, NO), (YES, "a")),
        ((YES, UNKNOWN), (YES, "a")),
        ((NO, YES), (YES, "b")),
        ((NO, NO), (NO, "a")),
        ((NO, UNKNOWN), (UNKNOWN, "b")),
        ((UNKNOWN, YES), (YES, "b")),
        ((UNKNOWN, NO), (UNKNOWN, "a")),
        ((UNKNOWN, UNKNOWN), (UNKNOWN, "a")),
    ];
    for ((a, b), expected) in all {
        let decision = asked(&all_of(Says::new("a", a)).and(Says::new("b", b)));
        assert_eq!(
            (decision.verdict(), decision.policy()),
            expected,
            "all of {a}, {b}"
        );
    }
    for ((a, b), expected) in any {
        let decision = asked(&any_of(Says::new("a", a)).or(Says::new("b", b)));
        assert_eq!(
            (decision.verdict(), decision.policy()),
            expected,
            "any of {a}, {b}"
        );
    }
}

#[test]
fn the_order_of_policies_does_not_change_what_is_decided() {
    for a in ALL {
        for b in ALL {
            for c in ALL {
                let [a, b, c] = [("a", a), ("b", b), ("c", c)].map(|(n, v)| Says::new(n, v));
                let all = |a: &Says, b: &Says, c: &Says| {
                    asked(&all_of(a.clone()).and(b.clone()).and(c.clone())).verdict()
                };
                let any = |a: &Says, b: &Says, c: &Says| {
                    asked(&any_of(a.clone()).or(b.clone()).or(c.clone())).verdict()
                };
                assert_eq!(all(&a, &b, &c), all(&c, &a, &b));
                assert_eq!(any(&a, &b, &c), any(&c, &b, &a));
            }
        }
    }
}

#[test]
fn nobody_is_asked_after_it_is_settled() {
    let (denies, later) = (Says::new("a", NO), Says::new("b", YES));
    asked(&all_of(denies).and(later.clone()));
    let allows = Says::new("a", YES);
    asked(&any_of(allows).or(later.clone()));
    assert_eq!(later.2.load(Ordering::Relaxed), 0);
}

#[test]
fn scopes_are_compared_letter_by_letter() {
    let ada = Principal::new("ada", org())
        .with_scope("kb:read")
        .with_scope("mail:*");
    let may = |action: &str| {
        let decision = Scopes.decide(&ada, action, &Resource::new("document", "17"));
        decision.is_allowed()
    };
    assert!(may("kb:read"));
    assert!(!may("kb:write"));
    assert!(!may("KB:READ"));
    assert!(!may("mail:send"), "a scope is no wildcard");
    assert!(!may(""));
}

#[test]
fn orgs_and_regions_cell_by_cell() {
    let [own, other] = [org(), org()];
    for owner in [None, Some(own), Some(other)] {
        let resource = Resource::new("document", "17").owned_by(owner);
        let decision = OrgOnly.decide(&Principal::new("ada", own), "kb:read", &resource);
        assert_eq!(decision.is_allowed(), owner == Some(own));
    }
    let places = [None, Some("eu"), Some("us")];
    let tenants = [
        Residency::Anywhere,
        Residency::In("eu".into()),
        Residency::In("us".into()),
        Residency::Unknown,
    ];
    let mut cells = 0;
    for person in places {
        for mine in &tenants {
            for theirs in &tenants {
                for place in places {
                    cells += 1;
                    let cell = format!("{person:?} {mine:?} {theirs:?} {place:?}");
                    let expected = region_rule(person, [mine, theirs], place);
                    let verdict = asked_in(person, [mine, theirs], place, [own, other]);
                    assert_eq!(verdict, expected, "{cell}");
                }
            }
        }
    }
    assert_eq!(cells, 144);
}

/// The rule, said the other way round: which regions does anybody insist on, and is it there?
fn region_rule(person: Option<&str>, tenants: [&Residency; 2], place: Option<&str>) -> Verdict {
    let bound = |tenant: &Residency| match tenant {
        Residency::In(region) => Some(region.to_string()),
        _ => None,
    };
    let insists: Vec<String> = [person.map(ToOwned::to_owned)]
        .into_iter()
        .chain(tenants.map(bound))
        .flatten()
        .collect();
    match insists.iter().all(|region| Some(&**region) == place) {
        false => NO,
        true if tenants.contains(&&Residency::Unknown) => UNKNOWN,
        true => YES,
    }
}

fn asked_in(
    person: Option<&'static str>,
    tenants: [&Residency; 2],
    place: Option<&'static str>,
    [own, other]: [OrgId; 2],
) -> Verdict {
    let [mine, theirs] = tenants.map(Clone::clone);
    let regions = Regions::new(move |org| match org == own {
        true => mine.clone(),
        false => theirs.clone(),
    });
    let mut who = Principal::new("ada", own);
    if let Some(region) = person {
        who = who.in_region(region);
    }
    let mut what = Resource::new("document", "17").owned_by(other);
    if let Some(region) = place {
        what = what.in_region(region);
    }
    regions.decide(&who, "kb:read", &what).verdict()
}
