//! What layers hold for a stage that waits, and others could have meanwhile.

use futures_util::future::BoxFuture;

/// What a stage waits for that holds nothing meanwhile which others might need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitsFor {
    /// Something that nobody here can hurry: a person, a timer, a network.
    Outside,
    /// A run that the stage has started.
    InnerRun,
}

/// What a layer has given to others while the work inside it waits: see [`Around::lend`](crate::Around::lend).
///
/// Dropped without [`over`](Self::over), the work goes on with what it can have at this moment.
pub trait Lent: Send {
    /// The wait is over: ready when the layer has back what the work needs to go on. Safe to drop at any moment.
    fn over(self: Box<Self>) -> BoxFuture<'static, ()>;
}
