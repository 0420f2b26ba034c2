//! What is in memory of a user, and can be let go of.

use std::sync::Arc;

use stageflow_context::{OrgId, UserId};

/// Something in the memory of this process that holds what runs of users have made, and can let go of what one of them has left
/// in it: a [`Cache`](crate::Cache), a [`MemoryIdempotencyStore`](crate::MemoryIdempotencyStore). For whoever erases users.
///
/// It is called from async code, so it must not block. Other processes have a memory of their own.
pub trait ForgetUser: Send + Sync {
    /// Lets go of everything that runs of this user of this org have made; of `None`, in runs without an org. How many entries
    /// that was. What such a run makes meanwhile may be kept afterwards: end them first.
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64;
}

impl<T: ForgetUser + ?Sized> ForgetUser for Arc<T> {
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64 {
        (**self).forget_user(org, user)
    }
}
