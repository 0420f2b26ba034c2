//! The policy of a layer, for stages.

use std::fmt;

use stageflow_interceptors::{Admission, Arrival, Pass, Refusal, async_trait};

use super::NAME;
use super::rules::Rules;

/// Gives the policy of an [`Authorize`](crate::Authorize) layer to the stages of every run, so that they can ask it: see
/// [`Access`](crate::Access). Made by [`Authorize::for_stages`](crate::Authorize::for_stages). It lets everybody in, and proves
/// nothing.
pub struct ForStages(pub(super) Rules);

#[async_trait]
impl Admission for ForStages {
    fn name(&self) -> &str {
        NAME
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        arrival.attach(self.0.clone());
        Ok(Pass::free())
    }
}

impl fmt::Debug for ForStages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForStages").field(&self.0).finish()
    }
}
