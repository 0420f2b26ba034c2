//! People, roles, pipelines and requests at random, and what should come of each request.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::auth::{Principal, Rbac, Resource, Role};
use stageflow::context::{OrgId, SeededIds};

use super::Document;
use crate::LabError;

const ACTIONS: [&str; 7] = [
    "kb:read",
    "kb:write",
    "kb:docs:read",
    "mail:read",
    "mail:send",
    "secret:read",
    "top",
];
const PERMISSIONS: [&str; 10] = [
    "kb:read",
    "kb:write",
    "kb:docs:read",
    "mail:read",
    "mail:send",
    "kb:*",
    "kb:docs:*",
    "mail:*",
    "top",
    "*",
];

#[derive(Debug)]
pub(super) struct Case {
    /// What each role permits, and from which of those before it inherits.
    roles: Vec<(BTreeSet<&'static str>, BTreeSet<usize>)>,
    pub(super) people: Vec<Person>,
    documents: Vec<Resource>,
    pub(super) pipelines: Vec<Vec<Step>>,
    pub(super) requests: Vec<Request>,
}

#[derive(Debug)]
pub(super) struct Person {
    pub(super) principal: Principal,
    roles: BTreeSet<usize>,
}

/// A stage of a pipeline.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) requires: BTreeSet<&'static str>,
    /// What it does to the document, if it touches it.
    pub(super) touches: Option<String>,
    pub(super) is_cached: bool,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) person: usize,
    pub(super) pipeline: usize,
    document: usize,
    pub(super) after: Duration,
}

/// What should come of a request.
#[derive(Debug)]
pub(super) struct Expected {
    /// The stage that is denied, if one is.
    pub(super) denied: Option<usize>,
    /// Stage, action, and the answer.
    pub(super) questions: Vec<(String, String, bool)>,
}

impl Request {
    pub(super) fn of(&self, case: &Case) -> Document {
        Document(case.documents[self.document].clone())
    }
}

fn some(rng: &mut ChaCha8Rng, of: &[&'static str], at_most: usize) -> BTreeSet<&'static str> {
    let count = rng.random_range(0..=at_most);
    (0..count)
        .map(|_| of[rng.random_range(0..of.len())])
        .collect()
}

impl Case {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let ids = SeededIds::new(rng.random());
        let orgs: Vec<_> = (0..3).map(|_| OrgId::generate(&ids)).collect();
        let roles: Vec<_> = (0..rng.random_range(1..6))
            .map(|place| {
                let inherits = (0..place).filter(|_| rng.random_bool(0.25)).collect();
                (some(rng, &PERMISSIONS, 3), inherits)
            })
            .collect();
        let people = (0..rng.random_range(2..8)).map(|place| {
            let held: BTreeSet<usize> = (0..roles.len()).filter(|_| rng.random_bool(0.4)).collect();
            let org = orgs[rng.random_range(0..orgs.len())];
            let who = Principal::new(format!("person-{place}"), org);
            let who = held
                .iter()
                .fold(who, |who, role| who.with_role(format!("r{role}")));
            Person {
                principal: who,
                roles: held,
            }
        });
        let people: Vec<_> = people.collect();
        let documents = orgs.iter().enumerate();
        let documents =
            documents.map(|(id, org)| Resource::new("document", id.to_string()).owned_by(*org));
        let pipelines: Vec<_> = (0..3).map(|_| row(rng)).collect();
        let requests = (0..rng.random_range(8..30)).map(|_| Request {
            person: rng.random_range(0..people.len()),
            pipeline: rng.random_range(0..pipelines.len()),
            document: rng.random_range(0..orgs.len()),
            after: Duration::from_millis(rng.random_range(0..20)),
        });
        let requests = requests.collect();
        Self {
            documents: documents.collect(),
            roles,
            people,
            pipelines,
            requests,
        }
    }

    pub(super) fn rbac(&self) -> Result<Rbac, LabError> {
        let roles = self.roles.iter().enumerate();
        let roles = roles.map(|(place, (permits, inherits))| {
            let role = Role::new(format!("r{place}"));
            let role = permits
                .iter()
                .fold(role, |role, permission| role.permits(*permission));
            inherits
                .iter()
                .fold(role, |role, from| role.inherits(format!("r{from}")))
        });
        Rbac::new(roles).map_err(LabError::new)
    }

    /// Whether a role permits an action: word by word, and role by role.
    fn role_permits(&self, role: usize, action: &str) -> bool {
        let (permits, inherits) = &self.roles[role];
        let words: Vec<&str> = action.split(':').collect();
        let fits = |permission: &str| {
            let wanted: Vec<&str> = permission.split(':').collect();
            match wanted.split_last() {
                Some((&"*", before)) => words.len() > before.len() && words.starts_with(before),
                _ => words == wanted,
            }
        };
        permits.iter().any(|permission| fits(permission))
            || inherits.iter().any(|from| self.role_permits(*from, action))
    }

    /// Walks through the run slowly and obviously.
    pub(super) fn expected(&self, request: &Request) -> Expected {
        let person = &self.people[request.person];
        let permits = |action: &str| {
            let mut roles = person.roles.iter();
            roles.any(|role| self.role_permits(*role, action))
        };
        let own = self.documents[request.document].org() == Some(person.principal.org());
        let mut questions = Vec::new();
        for (stage, step) in self.pipelines[request.pipeline].iter().enumerate() {
            let required = step
                .requires
                .iter()
                .map(|action| (*action, permits(action)));
            let touched = step
                .touches
                .iter()
                .map(|action| (&**action, own && permits(action)));
            for (action, answer) in required.chain(touched) {
                questions.push((format!("s{stage}"), action.to_owned(), answer));
                if !answer {
                    let denied = Some(stage);
                    return Expected { denied, questions };
                }
            }
        }
        let denied = None;
        Expected { denied, questions }
    }
}

/// What asks by itself is not cached: a cache would give what was read for somebody else of the org.
fn row(rng: &mut ChaCha8Rng) -> Vec<Step> {
    (0..rng.random_range(1..5))
        .map(|_| {
            let touches = rng.random_bool(0.3);
            let touches = touches.then(|| ACTIONS[rng.random_range(0..ACTIONS.len())].to_owned());
            Step {
                requires: some(rng, &ACTIONS, 2),
                is_cached: touches.is_none() && rng.random_bool(0.5),
                touches,
            }
        })
        .collect()
}
