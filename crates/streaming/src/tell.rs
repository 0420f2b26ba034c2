//! Where queues and buffers say what happens to them.

use std::sync::Arc;

use serde_json::Value;
use stageflow_context::{EmitError, StageCx};

/// Takes what a queue or a buffer has to say: a [`StageCx`] makes events of it, under the stage's name.
///
/// It is called without a lock held, one call at a time, in the order in which things happened.
///
/// ```
/// use serde_json::Value;
/// use stageflow_context::EmitError;
/// use stageflow_streaming::Tell;
///
/// /// Prints it.
/// struct Print;
///
/// impl Tell for Print {
///     fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError> {
///         println!("{name} {payload}");
///         Ok(())
///     }
/// }
/// # let _ = Print;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be told what happens to a queue",
    label = "this cannot be told",
    note = "hand over the stage's `StageCx`, or implement `Tell`: `tell` takes the name of an event and its payload"
)]
pub trait Tell: Send + Sync + 'static {
    /// Takes an event at once, or not at all. It must not block.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if it was not taken. The queue counts that, and says the same totals with its next event.
    fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError>;
}

impl Tell for StageCx {
    fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError> {
        self.try_emit(name, payload)
    }
}

impl<T: Tell + ?Sized> Tell for Arc<T> {
    fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError> {
        (**self).tell(name, payload)
    }
}
