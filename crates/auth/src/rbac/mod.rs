//! Roles, and what they permit.

mod error;
mod grant;
mod order;
mod role;

pub use error::{RbacError, RbacProblem};
pub use role::Role;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use grant::Grant;

use crate::{Decision, PolicyEngine, Principal, Resource};

/// Allows what one of the principal's roles permits, itself or through the roles it inherits from. A role that it does not know
/// permits nothing. Whose the resource is does not matter to it: put [`OrgOnly`](crate::OrgOnly) beside it.
///
/// ```
/// use stageflow_auth::{PolicyEngine, Principal, Rbac, Resource, Role};
/// use stageflow_context::{OrgId, SystemIds};
///
/// let rbac = Rbac::new([
///     Role::new("reader").permits("kb:read"),
///     Role::new("editor").inherits("reader").permits("kb:write"),
///     Role::new("curator").permits("kb:*"),
/// ])?;
///
/// let ada = Principal::new("ada", OrgId::generate(&SystemIds::new())).with_role("editor");
/// let document = Resource::new("document", "17");
/// let decision = rbac.decide(&ada, "kb:read", &document);
/// assert!(decision.is_allowed());
/// assert_eq!(decision.reason(), "role `editor` inherits from `reader`, which permits `kb:read`");
/// assert!(!rbac.decide(&ada, "kb:delete", &document).is_allowed());
/// # Ok::<(), stageflow_auth::RbacError>(())
/// ```
#[derive(Clone)]
pub struct Rbac(Arc<Compiled>);

struct Compiled {
    places: HashMap<Arc<str>, usize>,
    roles: Vec<Known>,
}

/// A role, and what may be done in it.
struct Known {
    name: Arc<str>,
    grants: Vec<Grant>,
    /// Itself, then all it inherits from, the nearest first.
    lineage: Vec<usize>,
}

impl Rbac {
    /// These roles. A permission is words of letters, digits, `_`, `-` and `.`, joined by colons. A last word `*` stands for
    /// one or more words, and `*` alone for everything. Whether somebody may do something is looked up in time linear in the
    /// number of permissions that their roles have and inherit.
    ///
    /// # Errors
    ///
    /// [`RbacError`] with all that is wrong: permissions and names that are none, a role that is there twice, a role that
    /// inherits from one that is not there, or from itself.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, RbacError> {
        order::compile(roles.into_iter().collect()).map(|compiled| Self(Arc::new(compiled)))
    }

    /// The names of the roles, in the order in which they were given.
    #[must_use]
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter().map(|role| &*role.name)
    }

    /// What lets somebody in this role do this: the role whose permission it is, and the permission.
    fn found(&self, role: &str, action: &str) -> Option<(&Known, &Grant)> {
        let roles = &self.0.roles;
        let lineage = &roles.get(*self.0.places.get(role)?)?.lineage;
        let mut lineage = lineage.iter().filter_map(|place| roles.get(*place));
        lineage.find_map(|role| {
            let grant = role.grants.iter().find(|grant| grant.covers(action))?;
            Some((role, grant))
        })
    }
}

impl PolicyEngine for Rbac {
    fn name(&self) -> &str {
        "rbac"
    }

    fn decide(&self, principal: &Principal, action: &str, _: &Resource) -> Decision {
        if !grant::is_permission(action) {
            return Decision::deny("it is nothing that could be permitted");
        }
        for role in principal.roles() {
            if let Some((by, grant)) = self.found(role, action) {
                let inherited = if *by.name == *role {
                    format!("role `{role}`")
                } else {
                    format!("role `{role}` inherits from `{}`, which", by.name)
                };
                return Decision::allow(format!("{inherited} permits `{grant}`"));
            }
        }
        Decision::deny("no role of theirs permits it")
    }
}

impl fmt::Debug for Rbac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for role in &self.0.roles {
            let grants: Vec<_> = role.grants.iter().map(ToString::to_string).collect();
            map.entry(&role.name, &grants);
        }
        map.finish()
    }
}
