//! Stages that do what the test says, call by call.
//!
//! ```
//! use std::time::Duration;
//! use stageflow_testkit::{Gate, script};
//!
//! let gate = Gate::new();
//! let stage = script::transient::<(), u32>("busy")
//!     .then(script::ok(3).taking(Duration::from_millis(20)))
//!     .then(script::fail("gone").behind(&gate));
//! assert_eq!(stage.calls(), 0);
//! ```

use std::time::Duration;

use stageflow_context::Stop;

use crate::Scripted;
use crate::scripted::{End, Wait};

/// Gives this value.
pub fn ok<I, O: Clone + Send + Sync + 'static>(value: O) -> Scripted<I, O> {
    give(move |_| Ok(value.clone()))
}

/// Gives what the function makes of the input; it may also stop.
pub fn give<I, O>(
    function: impl Fn(I) -> Result<O, Stop> + Send + Sync + 'static,
) -> Scripted<I, O> {
    Scripted::of(End::Give(Box::new(function)))
}

/// Fails for good.
pub fn fail<I, O>(reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::fail(reason.clone())))
}

/// Fails, and says that another attempt may help.
pub fn transient<I, O>(reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::transient(reason.clone())))
}

/// Panics. The panic does not go through the panic hook, so it does not clutter the test's output.
pub fn panic<I, O>(message: impl Into<String>) -> Scripted<I, O> {
    Scripted::of(End::Panic(message.into()))
}

/// Skips.
pub fn skip<I, O>(reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::skip(reason.clone())))
}

/// Cancels the run.
pub fn cancel<I, O>(reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::cancel(reason.clone())))
}

/// Asks for another attempt.
pub fn retry<I, O>(reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::retry(reason.clone())))
}

/// Asks for another attempt, not before `after` has passed.
pub fn retry_after<I, O>(after: Duration, reason: impl Into<String>) -> Scripted<I, O> {
    let reason = reason.into();
    give(move |_| Err(Stop::retry_after(after, reason.clone())))
}

/// Never ends by itself.
#[must_use]
pub fn hang<I, O>() -> Scripted<I, O> {
    let mut script = give(|_| Err(Stop::fail("a stage that hangs went on")));
    script.wait(&Wait::Forever);
    script
}

/// Fails `failures` times with a transient error, then gives the value.
pub fn flaky<I, O: Clone + Send + Sync + 'static>(failures: usize, value: O) -> Scripted<I, O> {
    let mut script = ok(value);
    for failure in (1..=failures).rev() {
        script = transient(format!("failure {failure} of {failures}")).then(script);
    }
    script
}
