//! What a pipeline is: stages, typed wiring, validation, drawings.
//!
//! ```text
//!   Stage, stage_fn ──▶ PipelineBuilder ──┐  handles: checked by the compiler
//!                                         ├──▶ Draft ──▶ Plan ──▶ engines, drawings
//!   Registry ──▶ NamedBuilder ────────────┘  names: checked by build(), all at once
//! ```
//!
//! ```
//! use stageflow_context::{StageCx, Stop};
//! use stageflow_graph::{Pipeline, StageKind, stage_fn};
//! use std::sync::Arc;
//!
//! async fn words(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
//!     Ok(text.split_whitespace().count())
//! }
//!
//! async fn lines(_cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
//!     Ok(text.lines().count())
//! }
//!
//! async fn say(_cx: StageCx, (words, lines): (Arc<usize>, Arc<Option<usize>>)) -> Result<String, Stop> {
//!     Ok(format!("{words} words in {lines:?} lines"))
//! }
//!
//! let mut p = Pipeline::builder("count");
//! let text = p.input::<String>();
//! let words = p.stage("words", stage_fn(words)).after(text);
//! let lines = p.stage("lines", stage_fn(lines)).kind(StageKind::Enrich).optional().after(text);
//! let say = p.stage("say", stage_fn(say)).after((words, lines));
//! let pipeline = p.output(say).build()?;
//!
//! assert!(pipeline.mermaid().contains("s1 -.-> s2")); // the value of `lines` may be absent
//! # Ok::<(), stageflow_graph::BuildError>(())
//! ```
//!
//! A wrong wire does not compile, and the message says what the stage takes and what it was given:
//!
//! ```compile_fail
//! # use stageflow_context::{StageCx, Stop};
//! # use stageflow_graph::{Pipeline, stage_fn};
//! # use std::sync::Arc;
//! # async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> { Ok(text.to_uppercase()) }
//! let mut p = Pipeline::builder("wrong");
//! let number = p.input::<u64>();
//! p.stage("shout", stage_fn(shout)).after(number); // a `u64` is not a `String`
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | make a stage of a function | [`stage_fn`] |
//! | make a stage of a type that holds clients, indexes, settings | [`Stage`] |
//! | call a stage for each of many items | [`map()`] |
//! | call a stage until its result is good enough | [`repeat()`], [`correct()`] |
//! | wire stages in code | [`Pipeline::builder`] |
//! | wire stages from a file or a database | [`PipelineSpec`] and [`Registry`], or [`Pipeline::by_name`] |
//! | let a stage decide where the run goes on | [`Route`], [`PipelineBuilder::route`] |
//! | take the first of several branches, or some of them | [`PipelineBuilder::merge`], [`PipelineBuilder::join`] |
//! | run, or give, something else when a stage fails | [`StageBuilder::or`], [`StageBuilder::or_value`] |
//! | put one pipeline into another | [`PipelineBuilder::embed`], [`Pipeline::beside`] |
//! | draw it | [`Pipeline::mermaid`], [`Pipeline::dot`] |
//! | run it | `stageflow-executor`; or [`Plan`], for an engine of your own |
//!
//! # Invariants
//!
//! * A [`Pipeline`] is valid: names are unique, every edge ends at a stage that is there, there is no circle.
//! * A typed handle exists only after its stage was wired, so a circle of handles cannot be written.
//! * A stage can read what it is wired to and nothing else.
//! * Building takes O(stages + edges) and no recursion: 100 000 stages in any order fit a small stack.
//! * Everything that is wrong is reported at once ([`BuildError::problems`]).
//!
//! # Errors
//!
//! Codes `SF0101` to `SF0112`, `SF0116` to `SF0120`, `SF0124`, `SF0125` and `SF0127`: [`Problem`], when a pipeline is built. `SF0126`:
//! [`InputDigestError`], when a layer asks for the digest of an input. `SF0113` to
//! `SF0115`: [`InputError`], when a stage that is wired by name reads its inputs. `SF0309`: [`BadRoute`], when a route names
//! an arm twice.
//!
//! # Feature flags
//!
//! None.
//!
//! # Where it sits
//!
//! Above `stageflow-context`, below `stageflow-interceptors` and `stageflow-executor`. It does not know how a pipeline is
//! run, and pulls no runtime.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod builder;
mod cycles;
mod demand;
mod digest;
mod draft;
mod draw;
mod erased;
mod error;
mod fallback;
mod function;
mod handle;
mod inputs;
mod join;
mod map;
mod named;
mod nearest;
mod options;
mod pipeline;
mod plan;
mod role;
mod rounds;
mod route;
mod shape;
mod shared_stage;
mod spec;
mod stage;
mod undo;
mod upstream;
mod wires;

pub use builder::{
    Embedding, Finish, IsOptional, IsRequired, PipelineBuilder, PipelineInput, StageBuilder,
};
pub use demand::{Demands, PoolUse, StageLimit};
pub use digest::InputDigestError;
pub use draw::{Overlay, StageMark};
pub use erased::StageFuture;
pub use error::{BuildError, Problem, ProblemKind};
pub use fallback::{CanFallBack, IsDefault};
pub use function::{StageFn, StageReturn, stage_fn};
pub use handle::Handle;
pub use inputs::{InputError, InputErrorKind, NamedInputs};
pub use join::Join;
pub use map::{
    Collect, FailFast, Item, ItemOutcome, ItemPolicy, Items, Map, Reduce, SkipFailed, map, reduce,
};
pub use named::{NamedBuilder, NamedStage};
pub use nearest::nearest;
pub use options::{Placement, Presence, Reuse, StageOptions, StageVersion};
pub use pipeline::{NamedPipeline, Pipeline, SideBySide};
pub use plan::Plan;
pub use role::Role;
pub use rounds::{
    Correct, CorrectLoop, Repeat, RepeatLoop, RepeatUntil, Review, Revision, correct, repeat,
};
pub use route::{
    ArmList, ArmsOf, BadRoute, Chosen, IsRoute, Pick, Route, RouteBuilder, RouteOutput,
};
pub use shape::Shape;
pub use shared_stage::SharedStage;

pub use spec::{PipelineSpec, Registry, StageSpec};
pub use stage::{Stage, StageKind};
pub use stageflow_macros::Route;
pub use undo::{CanUndo, StageUndo, UndoFuture, UndoPolicy};
pub use upstream::{Edges, Inputs, Upstream, WiringError};
