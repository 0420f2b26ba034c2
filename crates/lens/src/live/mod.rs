//! A live view of runs, in the terminal or as plain lines.
//!
//! ```text
//!   engine ─▶ LiveSink ────┐
//!                          ├─▶ LiveModel ─▶ LiveView ─▶ a screen, or a line a second
//!   file ───▶ JournalFeed ─┘
//! ```
//!
//! ```
//! use std::num::NonZeroUsize;
//! use stageflow_lens::live::{Feed as _, LiveModel, LiveSink, summary};
//!
//! let sink = LiveSink::bounded(NonZeroUsize::new(10_000).unwrap());
//! // ... Engine::builder().events(sink.clone()) ..., run something ...
//! let mut model = LiveModel::new();
//! sink.clone().feed(&mut model)?;
//! assert!(summary(&model).starts_with("0 runs under way"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! * Nothing in it makes a run wait: a [`LiveSink`] that is full drops, and the view says how much it has missed.
//! * Everything is bounded: runs under way, stages, queues and findings that are kept.
//! * Text from records is shown without control characters: an error cannot write to the terminal.

mod draw;
mod feed;
mod figures;
mod lines;
mod model;
mod queue;
mod rates;
mod run;
mod screen;
mod sink;
mod stage;
mod text;
mod view;

pub use feed::{Fed, Feed, JournalFeed, Reading};
pub use figures::{LiveTotals, SinkFigures};
pub use lines::{report, summary};
pub use model::LiveModel;
pub use queue::QueueRow;
pub use screen::{Colours, Key, Screen, Tab};
pub use sink::LiveSink;
pub use stage::StageRow;
pub use view::{LiveView, Look};
