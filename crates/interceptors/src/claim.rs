//! What layers ask of each other.

/// What a layer asks of the other layers around the same stage. An engine whose layers cannot all have what they ask for is
/// not built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// No layer is outside it, and it decides whether whoever asks is permitted what the stage
    /// [requires](stageflow_graph::StageBuilder::require). Without such a layer a stage that requires something does not run.
    Decides,
    /// Nothing.
    #[default]
    Nothing,
    /// No layer is outside it.
    Outermost,
    /// No other layer has its name. One that is meant for fewer stages takes the place of one that is meant for more.
    Unique,
}
