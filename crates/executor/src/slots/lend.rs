//! Waiting without holding anything.

use std::any::Any;

use stageflow_context::StageCx;

use super::run::lend;
use crate::shared::RunShared;

/// Lets a stage wait without keeping others from what it holds. Implemented for [`StageCx`].
pub trait Lend {
    /// Awaits `future` while the units of pools and the room under limits that the stage holds are given to others, and takes
    /// them back before it goes on: for waits on other runs, on people, on slow networks. What a stage holds while it waits
    /// is what others cannot have, and what two stages that wait for each other wait for.
    ///
    /// Coming back, the stage is served before those of its priority that come new for the same. The stage's own timeouts go
    /// on, and the time it takes to come back counts. A stage that holds nothing simply awaits the future.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # use stageflow_executor::Lend;
    /// # use std::{sync::Arc, time::Duration};
    /// async fn ask(cx: StageCx, question: Arc<String>) -> Result<String, Stop> {
    ///     // Somebody thinks about it; meanwhile others have the slot.
    ///     cx.lend(tokio::time::sleep(Duration::from_secs(60))).await;
    ///     Ok(format!("{question}: yes"))
    /// }
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropped before it is ready, it takes the units back if they are free at this moment. If not, the stage goes on without
    /// them, up to the end of its next `lend`: so do not race it against a timer, race inside it.
    fn lend<F: Future + Send>(&self, future: F) -> impl Future<Output = F::Output> + Send
    where
        F::Output: Send;
}

impl Lend for StageCx {
    async fn lend<F: Future + Send>(&self, future: F) -> F::Output
    where
        F::Output: Send,
    {
        let host: &dyn Any = &**self.host();
        match host.downcast_ref::<RunShared>() {
            Some(shared) => lend(shared, self.index(), self.part(), future).await,
            None => future.await,
        }
    }
}
