//! What tenants have in common that pay the same.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::Quota;

/// A class of tenants: how much each of them may have, and how much it counts against the others when not all can run.
///
/// ```
/// use std::num::{NonZeroU16, NonZeroUsize};
/// use stageflow_tenancy::{Quota, Tier};
///
/// const FOUR: NonZeroU16 = NonZeroU16::new(4).unwrap();
/// const EIGHT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
///
/// let pro = Tier::new("pro").weight(FOUR).quota(Quota::new().runs(EIGHT));
/// assert_eq!(pro.name(), "pro");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Tier {
    name: Arc<str>,
    weight: NonZeroU16,
    quota: Quota,
}

impl Tier {
    /// A tier without limits, where each tenant counts once.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            weight: NonZeroU16::MIN,
            quota: Quota::new(),
        }
    }

    /// While tenants wait for each other, each has turns in proportion to this.
    pub fn weight(self, weight: NonZeroU16) -> Self {
        Self { weight, ..self }
    }

    /// How much each of its tenants may have.
    pub fn quota(self, quota: Quota) -> Self {
        Self { quota, ..self }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn share(&self) -> NonZeroU16 {
        self.weight
    }

    pub(crate) fn limits(&self) -> &Quota {
        &self.quota
    }
}
