//! What only an engine says.
//!
//! Tenants are kept apart by what an engine has written down about a run, so nobody else may write it. Rust has no way to show
//! something to one other crate only; what is here is out of the documentation, and has to be named on purpose. In this workspace
//! a lint forbids it outside of the engine and of tests.

/// An engine's word that what it comes with is true. It is given where something is made, and cannot be had from what was made.
#[derive(Debug)]
pub struct EngineWord(());

impl EngineWord {
    /// For engines, and for nobody else: whoever gives it answers for what the envelope says.
    #[must_use]
    pub const fn given() -> Self {
        Self(())
    }
}

/// What says of itself that it is an engine's: whoever implements it answers for the identity that its runs have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no engine's, so it cannot say whose a run is",
    label = "only an engine hosts runs",
    note = "run the stage through an `Engine`; in tests of a host implement `stageflow_context::testing::HostByHand` too, with the feature `testing`"
)]
pub trait EngineHost {}
