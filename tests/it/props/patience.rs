//! A layer that is patient with what fails for now.

use std::time::Duration;

use stageflow::interceptors::{Around, Call, Ending, Next, Phase, async_trait};
use stageflow::prelude::*;

/// Gives what fails for now two more attempts.
pub(super) enum Patience {
    /// At once.
    AtOnce,
    /// So long after the one before.
    After(Duration),
}

#[async_trait]
impl Around for Patience {
    fn name(&self) -> &'static str {
        "patience"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for _ in 0..2 {
            match &ending {
                Ending::Failed(error) if error.class() == ErrorClass::Transient => {
                    if let Self::After(pause) = self {
                        tokio::time::sleep(*pause).await;
                    }
                    ending = next.run(call).await;
                }
                _ => break,
            }
        }
        ending
    }
}
