//! What is kept, and what happens when nothing can be.

/// What becomes of a failure. Only permanent failures are ever handed on: a transient one may go away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failures {
    /// It is forgotten. The next who waits does the work.
    #[default]
    Forget,
    /// A permanent one is given to those who wait at this moment, and then forgotten.
    Share,
    /// A permanent one is kept like a value.
    Keep,
}

/// What becomes of a skip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skips {
    /// It is forgotten. The next who waits asks the stage.
    #[default]
    Forget,
    /// It is kept like a value.
    Keep,
}

/// What happens when the store does not answer, or has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreTrouble {
    /// The call is rejected, and the stage does not run: nothing is done twice.
    #[default]
    Refuse,
    /// The stage runs as if the run had no key, and an event says so.
    Proceed,
}
