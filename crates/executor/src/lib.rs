//! How a pipeline runs: a pure scheduling machine and its tokio shell.
//!
//! ```text
//!    [begin | ended | suspended | cancel | tick] ─▶ RunMachine (pure) ─▶ [start | skip | expire | stop | done]
//!          ▲                                                                              │
//!          └──────────────── shell: polls, timers, values, events ◀──────────────────────┘
//! ```
//!
//! ```
//! use stageflow_context::{Outcome, StageCx, Stop};
//! use stageflow_executor::{Engine, RunOptions};
//! use stageflow_graph::{Pipeline, stage_fn};
//! use std::sync::Arc;
//!
//! async fn half(_cx: StageCx, n: Arc<u32>) -> Result<u32, Stop> {
//!     if *n % 2 == 1 {
//!         return Err(Stop::fail(format!("{n} is odd")));
//!     }
//!     Ok(*n / 2)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut p = Pipeline::builder("quarter");
//! let n = p.input::<u32>();
//! let a = p.stage("first", stage_fn(half)).after(n);
//! let b = p.stage("second", stage_fn(half)).after(a);
//! let quarter = p.output(b).build()?;
//!
//! let engine = Engine::new();
//! assert_eq!(engine.run(&quarter, 12, RunOptions::new()).await.output()?, &3);
//!
//! let report = engine.run(&quarter, 6, RunOptions::new()).await;
//! assert_eq!(report.outcome(), Outcome::Failed);
//! assert_eq!(report.value(a).as_deref(), Some(&3)); // what was finished is kept
//! # Ok(()) }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | run pipelines | [`Engine::run`] |
//! | decide who may run anything at all | [`EngineBuilder::admit`], [`RunOptions::credentials`] |
//! | say for whom, with what, and for how long | [`RunOptions`] |
//! | stop a run from outside | [`Run::handle`] |
//! | see what happens while it happens | [`Run::stream`] |
//! | find the stage that holds a thread and does not let go | [`EngineBuilder::watchdog`] |
//! | run a pipeline from a stage, or as one | [`RunChild`], [`sub`] |
//! | end everything | [`Engine::shutdown`] |
//! | know what happened | [`RunReport`], [`StageReport`] |
//! | put a run into the trace that its request came with | [`RunOptions::trace`] |
//! | have nothing happen of which there is no record | [`EngineBuilder::on_lost_audit`], [`LostAudit`] |
//! | let a person decide | [`approval()`], [`Approve`], [`ApprovalDesk`] |
//! | say how much a run may spend | [`RunOptions::budget`] |
//! | say what a failure means for the rest | [`FailurePolicy`] |
//! | share what is scarce between runs | [`EngineBuilder::slots`], [`EngineBuilder::pool`], [`Priority`], [`Lend`] |
//! | see a finished run | [`RunReport::mermaid`], [`RunReport::critical_path`] |
//! | write another shell, or explore schedules | [`machine`] |
//!
//! # How a run ends
//!
//! | what happened | the run's outcome |
//! |---|---|
//! | every stage ended, the output is there | `Succeeded` |
//! | a stage failed, panicked or took too long, and nothing stood in for it | `Failed` |
//! | a stage, or somebody with the handle, cancelled the run | `Cancelled` |
//! | there was no step or no time left in its budget | `Cancelled` |
//! | events were lost that must not be, and the engine is to stop then | `Cancelled` |
//! | the run's deadline passed | `TimedOut` |
//! | a layer refused a stage, or an admission the run | `Denied` |
//! | an admission had no room for the run, or could not decide | `Failed` |
//! | the stage that gives the output was skipped | `Skipped` |
//!
//! [`FailurePolicy`] says what a failure means for the rest. In all other cases the other stages are told why and stopped.
//! What was spawned is waited for, the cleanups run, and then the report is given. The first cause decides; later errors
//! are in the report, too.
//!
//! # Cancellation safety
//!
//! Dropping a [`Run`] cancels it. Stages in the run's own task are dropped on the spot; spawned ones are aborted; these and
//! the cleanups are then seen through in a task that the engine tracks ([`Engine::settled`]). A run that was never polled
//! leaves nothing behind.
//!
//! # Invariants
//!
//! * A stage starts the moment its last upstream stage has ended, if the run has room for it and the units it needs are
//!   free; never before.
//! * A stage that waits for units holds none, and has not started.
//! * [`Engine::run`] is ready when every task it started has ended and every cleanup has run; never before.
//! * A run that a stage has started is over before the cleanups of the stage's run begin.
//! * An operation has one start and one end, inside the attempt, the part and the operation that it belongs to.
//! * A panic in a stage, a layer, a sink or a cleanup is an error of that run, and touches no other run.
//! * A pipeline and an engine hold nothing of a run: any number of runs share them.
//! * Scheduling decisions never await: [`machine::RunMachine`] knows neither clock nor runtime.
//!
//! # Errors
//!
//! Codes `SF0401` to `SF0405`: [`RunError`], for runs without an output. `SF0311` and `SF0406` to `SF0408`: [`ChildError`], for
//! stages that cannot run a pipeline. `SF0409`: [`PoolError`], for pipelines that an engine cannot run; `SF0415`:
//! [`PermissionError`], for pipelines that need somebody who decides. `SF0414`: runs that were not let in. `SF0312`:
//! [`ApprovalError`], for stages that ask; `SF0410`: [`DeskError`], for whoever decides.
//!
//! # Feature flags
//!
//! `stress-sabotage` lets an engine be broken on purpose, for the controls of the stress suite. Never switch it on in a
//! program that is released.
//!
//! `tower` has `Engine::service`: a pipeline as a `tower::Service`.
//!
//! # Where it sits
//!
//! Above `stageflow-interceptors`. It does not know auth or tenancy by name: those come as layers and sinks.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod approval;
mod audit;
mod begin;
mod blocking;
mod buffer;
mod builder;
mod child;
mod children;
mod cleanup;
mod data;
mod door;
mod driver;
mod engine;
mod error;
pub mod machine;
mod meter;
mod operations;
mod parts;
mod permission;
mod places;
mod quiet;
mod registry;
mod report;
mod run;
mod sabotage;
#[cfg(feature = "tower")]
mod service;
mod settings;
mod shared;
mod shutdown;
mod slots;
mod stream;
mod undo;
mod wake;
mod watchdog;

pub use approval::{
    Approval, ApprovalDesk, ApprovalError, ApprovalErrorKind, ApprovalRecord, ApprovalRequest,
    ApprovalStatus, Approvals, Approve, Ask, AtDeadline, Decider, Decision, DeskError,
    DeskErrorKind, DeskOptions, EditCheck, OnReject, OrgDesk, approval,
};
pub use audit::LostAudit;
pub use blocking::Blocking;
pub use buffer::EventCounts;
pub use builder::EngineBuilder;
pub use child::{ChildError, ChildErrorKind, ChildRun, Inherit, RunChild, Sub, sub};
pub use engine::Engine;
pub use error::{RunError, RunErrorKind};
pub use parts::{PartCounts, PartReport};
pub use permission::PermissionError;
pub use report::{RunReport, StageReport};
pub use run::{Run, RunHandle};
#[cfg(feature = "stress-sabotage")]
pub use sabotage::Fault;
#[cfg(feature = "tower")]
pub use service::PipelineService;
pub use settings::{FailurePolicy, RunOptions};
pub use shutdown::{Abandoned, Shutdown};
pub use slots::{Lend, PoolError, PoolErrorKind, PoolKind, PoolUsage, Priority, SlotUsage};
pub use stream::{RunStream, StreamCounts, StreamItem, StreamKind, StreamOptions};
pub use undo::{UndoAfter, UndoReport};
pub use watchdog::{BlockingNow, Holder};
