//! What a layer that tries again costs where nothing fails.

use stageflow::interceptors::{Call, Ending, Next, async_trait};
use stageflow::prelude::*;

use crate::{allocations, chain, slope};

/// Does nothing but wait for what is inside.
struct PassOn;

#[async_trait]
impl Around for PassOn {
    fn name(&self) -> &str {
        "pass-on"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

#[test]
fn a_call_that_goes_well_at_once_allocates_no_more_for_retries() {
    let bare = Engine::builder().intercept(PassOn).build();
    let retry = Retry::exponential(5).budget(RetryBudget::default());
    let retry = Engine::builder().intercept(retry).build();
    let slopes =
        [bare, retry].map(|engine| slope(|stages| allocations(&engine, None, &chain(stages))));
    assert!((slopes[0] - slopes[1]).abs() < 0.01, "{slopes:?} a stage");
}
