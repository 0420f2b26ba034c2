//! Waiting without holding anything.

use std::any::Any;

use stageflow_context::StageCx;
use stageflow_interceptors::WaitsFor;

use super::run::lend;
use crate::shared::RunShared;

/// Lets a stage wait without keeping others from what it holds. Implemented for [`StageCx`].
pub trait Lend {
    /// Awaits `future` while the units of pools and the room under limits that the stage holds are given to others, and what it
    /// holds of layers that [lend](stageflow_interceptors::Around::lend), and takes them back before it goes on: for waits on other
    /// runs, on people, on slow networks. What a stage holds while it waits
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
    fn lend<F: Future + Send>(&self, future: F) -> impl Future<Output = F::Output> + Send
    where
        F::Output: Send,
    {
        // Boxed, so that a stage's future does not grow by several copies of it.
        wait(self, WaitsFor::Outside, Box::pin(future))
    }
}

/// Awaits what the stage waits for, without what it holds of the engine and of its layers.
pub(crate) async fn wait<F: Future>(cx: &StageCx, waits: WaitsFor, future: F) -> F::Output {
    let host: &dyn Any = &**cx.host();
    let Some(shared) = host.downcast_ref::<RunShared>() else {
        return future.await;
    };
    let lent = shared.stack(cx.index().get()).lend(cx, waits);
    // Whoever comes in has what its layers give before it has its units: so does whoever comes back.
    let back = async {
        let output = future.await;
        for layer in lent {
            layer.over().await;
        }
        output
    };
    lend(shared, cx.index(), cx.part(), back).await
}
