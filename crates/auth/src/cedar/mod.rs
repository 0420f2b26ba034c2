//! Policies written in Cedar.

mod entities;
mod error;

pub use error::{CedarError, CedarErrorKind};

use std::fmt;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Effect, Entities, PolicyId, PolicySet, Request, Response, Schema,
    ValidationMode, Validator,
};

use crate::{Decision, PolicyEngine, Principal, Resource};
use entities::{Asked, Groups};

/// Policies written in [Cedar](https://www.cedarpolicy.com).
///
/// | here | in Cedar |
/// |---|---|
/// | the principal | `User::"ada"`, in `Role::"…"` for each role and in `Org::"org_…"`; attributes `org`, `roles`, `scopes`, and `region` if they have one |
/// | the action | `Action::"kb:read"`; without a schema in `Action::"kb:*"` and `Action::"*"` |
/// | the resource | `Resource::"document/17"`, in `Org::"org_…"` if it is somebody's; attributes `kind`, `id`, and `org` and `region` if it has them |
///
/// Its decisions say which policies they rest on: by their annotation `@id("…")`, or `policy0`, `policy1` and so on in the order
/// of the text. A policy that cannot be evaluated is not left out in silence:
///
/// | satisfied | could not be evaluated | |
/// |---|---|---|
/// | a `forbid` | anything | denied |
/// | a `permit`, no `forbid` | a `forbid` | undecided |
/// | a `permit`, no `forbid` | nothing, or a `permit` | allowed |
/// | nothing | a `permit` | undecided |
/// | nothing | nothing, or a `forbid` | denied |
///
/// A question that does not fit the schema, such as one for an action that is not in it, is undecided.
///
/// ```
/// use stageflow_auth::{CedarPolicy, PolicyEngine, Principal, Resource};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let policy = CedarPolicy::new(r#"
///     @id("readers read")
///     permit(principal in Role::"reader", action == Action::"kb:read", resource)
///     when { resource has org && resource.org == principal.org };
/// "#)?;
///
/// let acme = OrgId::generate(&SystemIds::new());
/// let ada = Principal::new("ada", acme).with_role("reader");
/// let document = Resource::new("document", "17").owned_by(acme);
/// let decision = policy.decide(&ada, "kb:read", &document);
/// assert_eq!(decision.to_string(), "allowed by `cedar`: policy `readers read` permits it");
/// # Ok::<(), stageflow_auth::CedarError>(())
/// ```
#[derive(Clone)]
pub struct CedarPolicy(Arc<Inner>);

struct Inner {
    policies: PolicySet,
    schema: Option<Schema>,
    authorizer: Authorizer,
}

impl CedarPolicy {
    /// These policies.
    ///
    /// # Errors
    ///
    /// [`CedarError`] with all places that are wrong, if the text is not policies.
    pub fn new(policies: &str) -> Result<Self, CedarError> {
        let set = policies.parse();
        let set = set.map_err(|errors| error::unreadable(policies, &errors))?;
        Ok(Self::of(set, None))
    }

    /// These policies, which a schema in Cedar's own form is held against. The schema names the types above, with their
    /// attributes, and the actions there are.
    ///
    /// # Errors
    ///
    /// [`CedarError`] with all places that are wrong: if one of the texts cannot be read, or the policies do not fit the schema.
    pub fn with_schema(policies: &str, schema: &str) -> Result<Self, CedarError> {
        let set = policies.parse();
        let set: PolicySet = set.map_err(|errors| error::unreadable(policies, &errors))?;
        let (read, _) = Schema::from_cedarschema_str(schema)
            .map_err(|error| error::bad_schema(schema, &error))?;
        let result = Validator::new(read.clone()).validate(&set, ValidationMode::Strict);
        if !result.validation_passed() {
            return Err(error::misfit(policies, result.validation_errors()));
        }
        Ok(Self::of(set, Some(read)))
    }

    fn of(policies: PolicySet, schema: Option<Schema>) -> Self {
        Self(Arc::new(Inner {
            policies,
            schema,
            authorizer: Authorizer::new(),
        }))
    }
}

impl PolicyEngine for CedarPolicy {
    fn name(&self) -> &str {
        "cedar"
    }

    fn decide(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision {
        let decision = self.0.ask(principal, action, resource);
        decision.by("cedar")
    }
}

impl Inner {
    fn ask(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision {
        let schema = self.schema.as_ref();
        let groups = schema.map_or(Groups::ByName, |_| Groups::BySchema);
        let asked = match Asked::of(principal, action, resource, groups) {
            Ok(asked) => asked,
            Err(error) => return Decision::undecided(format!("it cannot be asked: {error}")),
        };
        let Asked {
            principal,
            action,
            resource,
            entities,
        } = asked;
        let entities = match Entities::from_entities(entities, schema) {
            Ok(entities) => entities,
            Err(error) => {
                return Decision::undecided(format!("it does not fit the schema: {error}"));
            }
        };
        let request = Request::new(principal, action, resource, Context::empty(), schema);
        match request {
            Ok(request) => {
                let response = self
                    .authorizer
                    .is_authorized(&request, &self.policies, &entities);
                self.weigh(&response)
            }
            Err(error) => Decision::undecided(format!("it does not fit the schema: {error}")),
        }
    }

    /// What an answer amounts to: see [`CedarPolicy`].
    fn weigh(&self, response: &Response) -> Decision {
        let found = response.diagnostics();
        let satisfied: Vec<_> = found.reason().collect();
        let failed = |effect: Effect| {
            found.errors().find(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                self.effect(error.policy_id()) == effect
            })
        };
        let names = || {
            let names: Vec<_> = satisfied.iter().map(|id| self.told(id)).collect();
            names.join(", ")
        };
        match (response.decision(), satisfied.is_empty()) {
            (cedar_policy::Decision::Allow, _) => match failed(Effect::Forbid) {
                None => Decision::allow(format!("{} permits it", names())),
                Some(error) => Decision::undecided(error.to_string()),
            },
            (cedar_policy::Decision::Deny, false) => {
                Decision::deny(format!("{} forbids it", names()))
            }
            (cedar_policy::Decision::Deny, true) => match failed(Effect::Permit) {
                None => Decision::deny("no policy permits it"),
                Some(error) => Decision::undecided(error.to_string()),
            },
        }
    }

    /// One that is not there, which cannot be, forbids.
    fn effect(&self, id: &PolicyId) -> Effect {
        let policy = self.policies.policy(id);
        policy.map_or(Effect::Forbid, |policy| policy.effect())
    }

    fn told(&self, id: &PolicyId) -> String {
        let policy = self.policies.policy(id);
        let name = policy.and_then(|policy| policy.annotation("id"));
        match name {
            Some(name) => format!("policy `{name}`"),
            None => format!("policy `{id}`"),
        }
    }
}

impl fmt::Debug for CedarPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policies = self.0.policies.policies();
        let names: Vec<_> = policies.map(|policy| self.0.told(policy.id())).collect();
        f.debug_tuple("CedarPolicy").field(&names).finish()
    }
}
