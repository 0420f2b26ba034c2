//! Stories: what became of runs, put together from records in whatever order they come.

mod fold;
mod inner;
mod run;
mod seqs;
mod stage;
mod stories;

pub use inner::{OperationStory, PartStory, PartTally, Used};
pub use run::{Above, CleanupStory, Ended, RunStory, UndoStory, Who};
pub use stage::{AttemptStory, Ending, Skipped, StageStory};
pub use stories::Stories;
