//! Looks at what Stageflow runs left behind: stories, wide events, checks, drawings, a live view.
//!
//! ```text
//!   records ──▶ Stories ──▶ RunStory ──▶ WideRun, WideStage   one flat line each
//!      │                        └──────▶ dag(), gantt()        SVG
//!      └──────▶ Analyzer ──▶ Findings                          what does not fit together
//! ```
//!
//! ```
//! use std::num::NonZeroUsize;
//! use stageflow_lens::{Arrival, Stories, analyze, read};
//!
//! let journal = stageflow_lens::EXAMPLE; // the text of a journal: a line of JSON a record
//! let records: Vec<_> = read::lines(journal.as_bytes()).collect::<Result<_, _>>()?;
//!
//! let stories = Stories::of(&records, NonZeroUsize::MIN);
//! let run = stories.iter().next().ok_or("nobody ran")?;
//! assert_eq!(run.stage("load").and_then(|stage| stage.outcome()).map(|outcome| outcome.as_str()), Some("succeeded"));
//! assert!(analyze(&records, Arrival::InOrder).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | read a journal | [`read`] |
//! | know what became of a run | [`Stories`], [`RunStory`] |
//! | have one flat line for each run and each stage | [`WideRun`], [`WideStage`], [`WideEvents`] |
//! | know whether records fit together | [`analyze`], [`Analyzer`] |
//! | watch runs in the terminal | `live`, with the feature of that name |
//! | draw a run | [`draw::dag`], [`draw::gantt`] |
//! | see everything that happened, in order | [`line`](line()) |
//!
//! # Invariants
//!
//! * Everything is made of records alone, and is the same whatever order the records of a run came in.
//! * Everything that is kept is bounded, and says what it did not keep.
//! * No clock: the same records give the same stories, findings and drawings.
//!
//! # Errors
//!
//! `SF0551` to `SF0553` ([`ReadError`]): a journal, or a line of one, cannot be read.
//!
//! # Feature flags
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `live` | off | `live`, the view of runs in the terminal |
//! | `tool` | off | the programs behind `cargo xtask logs` and, with `live`, `cargo xtask live` |
//!
//! # Where it sits
//!
//! Above `stageflow-events`, beside the graph and the executor. It knows neither pipelines nor engines.
//!
//! # Stability
//!
//! Beta; wide events are versioned. The minimum supported Rust version is 1.95.

mod check;
pub mod draw;
mod example;
mod field;
mod line;
#[cfg(feature = "live")]
pub mod live;
pub mod read;
mod story;
mod wide;

pub use check::{Analyzer, Arrival, Finding, FindingKind, Findings, Severity, analyze};
pub use example::EXAMPLE;
pub use line::line;
pub use read::{ReadError, ReadErrorKind};
pub use story::{
    Above, AttemptStory, CleanupStory, Ended, Ending, OperationStory, PartStory, PartTally,
    RunStory, Skipped, StageStory, Stories, UndoStory, Used, Who,
};
pub use wide::{
    JsonLines, WIDE_VERSION, WideCounts, WideEvents, WideLine, WideRun, WideSink, WideStage,
};
