//! What a bulkhead looks like from outside, and whom it turns away.

/// Whom a [`Bulkhead`](crate::Bulkhead) rejects when its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shedding {
    /// The newest of the lightest calls, whether it waits or comes: so a call that weighs no more than any that waits is rejected, and
    /// any other takes a place.
    #[default]
    Lightest,
    /// Whoever comes, whatever it weighs.
    Newest,
}

/// What goes on under one key of a [`Bulkhead`](crate::Bulkhead) at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadView {
    /// How many may be inside.
    pub limit: usize,
    /// How many are. More than the limit only after an adaptive limit has shrunk.
    pub inside: usize,
    /// How many wait.
    pub waiting: usize,
}
