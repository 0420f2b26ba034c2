//! Several policies as one.

use std::fmt;
use std::sync::Arc;

use crate::{Decision, PolicyEngine, Principal, Resource, Verdict};

/// Allows what all of several policies allow. One no is a no, whatever the others say; without one, what one cannot tell is not
/// known.
///
/// | one | other | together |
/// |---|---|---|
/// | allowed | allowed | allowed |
/// | allowed | undecided | undecided |
/// | undecided | undecided | undecided |
/// | denied | anything | denied |
///
/// The policies are asked in their order, until one denies. The decision is that of the policy whose word counted: the first
/// that denied; else the first that was undecided; else the first.
///
/// ```
/// use stageflow_auth::{OrgOnly, Scopes, all_of};
///
/// let policy = all_of(Scopes).and(OrgOnly);
/// ```
#[derive(Clone)]
pub struct AllOf(Vec<Arc<dyn PolicyEngine>>);

/// Allows what one of several policies allows. One yes is a yes, whatever the others say; without one, what one cannot tell is
/// not known.
///
/// | one | other | together |
/// |---|---|---|
/// | allowed | anything | allowed |
/// | denied | denied | denied |
/// | denied | undecided | undecided |
/// | undecided | undecided | undecided |
///
/// The policies are asked in their order, until one allows. The decision is that of the policy whose word counted: the first
/// that allowed; else the first that was undecided; else the first.
///
/// ```
/// use stageflow_auth::{Rbac, Role, Scopes, any_of};
///
/// let rbac = Rbac::new([Role::new("reader").permits("kb:read")])?;
/// let policy = any_of(Scopes).or(rbac);
/// # Ok::<(), stageflow_auth::RbacError>(())
/// ```
#[derive(Clone)]
pub struct AnyOf(Vec<Arc<dyn PolicyEngine>>);

/// What this policy allows, and all others do that are added with [`AllOf::and`].
pub fn all_of(policy: impl PolicyEngine) -> AllOf {
    AllOf(vec![Arc::new(policy)])
}

/// What this policy allows, or one that is added with [`AnyOf::or`].
pub fn any_of(policy: impl PolicyEngine) -> AnyOf {
    AnyOf(vec![Arc::new(policy)])
}

impl AllOf {
    /// And this one.
    #[must_use]
    pub fn and(mut self, policy: impl PolicyEngine) -> Self {
        self.0.push(Arc::new(policy));
        self
    }
}

impl AnyOf {
    /// Or this one.
    #[must_use]
    pub fn or(mut self, policy: impl PolicyEngine) -> Self {
        self.0.push(Arc::new(policy));
        self
    }
}

impl PolicyEngine for AllOf {
    fn name(&self) -> &str {
        "all-of"
    }

    fn decide(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision {
        ask(&self.0, Verdict::Denied, principal, action, resource)
    }
}

impl PolicyEngine for AnyOf {
    fn name(&self) -> &str {
        "any-of"
    }

    fn decide(&self, principal: &Principal, action: &str, resource: &Resource) -> Decision {
        ask(&self.0, Verdict::Allowed, principal, action, resource)
    }
}

/// Asks until one says what settles it.
fn ask(
    policies: &[Arc<dyn PolicyEngine>],
    settles: Verdict,
    principal: &Principal,
    action: &str,
    resource: &Resource,
) -> Decision {
    let mut counts: Option<Decision> = None;
    for policy in policies {
        let decision = policy
            .decide(principal, action, resource)
            .by_default(policy.name());
        let verdict = decision.verdict();
        if verdict == settles {
            return decision;
        }
        // Doubt outweighs what does not settle it.
        let keeps = match &counts {
            None => false,
            Some(kept) => kept.verdict() == Verdict::Undecided || verdict != Verdict::Undecided,
        };
        if !keeps {
            counts = Some(decision);
        }
    }
    counts.unwrap_or_default()
}

impl fmt::Debug for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AllOf({})", names(&self.0))
    }
}

impl fmt::Debug for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyOf({})", names(&self.0))
    }
}

fn names(policies: &[Arc<dyn PolicyEngine>]) -> String {
    let names: Vec<_> = policies.iter().map(|policy| policy.name()).collect();
    names.join(", ")
}
