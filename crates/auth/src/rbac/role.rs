//! A role as it is written down.

use std::sync::Arc;

/// A role: what it permits, and which roles it inherits from. Nothing is checked before [`Rbac::new`](crate::Rbac::new).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub(super) name: Arc<str>,
    pub(super) permits: Vec<Arc<str>>,
    pub(super) inherits: Vec<Arc<str>>,
}

impl Role {
    /// A role of this name, which permits nothing.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            permits: Vec::new(),
            inherits: Vec::new(),
        }
    }

    /// The same, which permits this: `kb:read`, all below `kb:*`, or everything, `*`.
    #[must_use]
    pub fn permits(mut self, permission: impl Into<Arc<str>>) -> Self {
        self.permits.push(permission.into());
        self
    }

    /// The same, which permits what this role permits, too.
    #[must_use]
    pub fn inherits(mut self, role: impl Into<Arc<str>>) -> Self {
        self.inherits.push(role.into());
        self
    }
}
