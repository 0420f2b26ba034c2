//! A layer that calls again.

use stageflow::prelude::*;

/// Calls again, once, if that could help.
pub(crate) struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &'static str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        match next.run(call).await {
            Ending::Failed(error) if error.class() == ErrorClass::Transient => next.run(call).await,
            ending => ending,
        }
    }
}
