//! A deterministic harness for testing pipelines.
//!
//! ```text
//!   script::flaky(2, 3) ─▶ Scripted ─┐                         ┌─▶ RecordingSink ─▶ EventGrammar   a sound story?
//!   Gate, Probe         ─▶ stages  ──┼─▶ Pipeline ─▶ Engine ───┤
//!                                    │   in paused(..)         └─▶ RunReport ──┐
//!   Dags ─▶ DagSpec ─────────────────┘                                         ├─▶ equal, to the millisecond?
//!             └─▶ predict() ─▶ Prediction ─────────────────────────────────────┘
//! ```
//!
//! ```
//! use std::time::Duration;
//! use stageflow_executor::{Engine, RunOptions};
//! use stageflow_graph::Pipeline;
//! use stageflow_testkit::{RecordingSink, paused, script};
//!
//! let mut p = Pipeline::builder("answer");
//! let ask = p.input::<String>();
//! let search = p.stage("search", script::ok(3_u32).taking(Duration::from_secs(2))).after(ask);
//! let profile = p.stage("profile", script::fail::<_, u32>("no such user")).optional().after(ask);
//! let write = p.stage("write", script::ok("done")).after((search, profile));
//! let pipeline = p.output(write).build().unwrap();
//!
//! let sink = RecordingSink::new();
//! let engine = Engine::builder().events(sink.clone()).build();
//! let report = paused(async { engine.run(&pipeline, "why?".to_owned(), RunOptions::new()).await });
//! assert_eq!(report.output().unwrap(), &"done");
//! assert_eq!(report.duration(), Duration::from_secs(2)); // exactly, and in no time
//! sink.assert_sound(pipeline.plan());
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | replace a stage by one that does what the test says | [`script`] |
//! | have timers fire at once and times be exact | [`paused`] |
//! | run the same test on one thread and on several | [`on_each_runtime`] |
//! | decide by hand when a stage goes on | [`Gate`] |
//! | know how often stages are called, and that none outlives its run | [`Probe`] |
//! | see what happened, and check that it is a sound story | [`RecordingSink`], [`EventGrammar`] |
//! | try a property of your own on many random cases | [`Property`] |
//! | have random programs that branch, wait and end in every way | [`branches`], [`program`] |
//! | have random pipelines for it | [`dag::Dags`]; by name, and mostly wrong: [`wiring`] |
//! | see whether a store of your own does what it must | [`conformance`] |
//! | let runs in as whom the test says | [`door`] |
//! | have signed tokens, right and wrong | `tokens`, with the feature `tokens` |
//! | know what must come of a random pipeline | [`DagSpec::predict`](dag::DagSpec::predict), [`oracle`] |
//!
//! # Scripts
//!
//! A script says what a stage does, call by call: `script::transient("busy").then(script::ok(3).taking(delay))`. It fits any
//! input type, so any stage of a pipeline can be replaced by it. See [`Scripted`].
//!
//! # Time
//!
//! Tests do not sleep. Under [`paused`] the clock jumps to the next timer when nothing else is left to do, so an hour takes
//! no time and is an hour exactly; where the order matters but no time passes, a [`Gate`] holds a stage back until the test lets
//! it through. A test that would wait for ever fails instead.
//!
//! # Stories
//!
//! The events of a run must tell a story that makes sense: every attempt that starts ends, no stage starts before those it
//! waits for, the end comes last and once. [`EventGrammar`] knows these rules; put a [`RecordingSink`] into the engines of your
//! tests and let it check them in every one. See [`Rule`].
//!
//! # Oracles
//!
//! [`dag::DagSpec`] is a pipeline as data. It can be built through both front doors, run, and held against a prediction that is
//! worked out in the plainest way there is and shares no code with the engine. See [`oracle`].
//!
//! # Invariants
//!
//! * The same seed gives the same cases, on every machine; a property that fails prints it.
//! * Nothing here waits on the wall clock, but a script that is told to hold its thread.
//! * A script that panics does so past the panic hook: what fails on purpose does not clutter the output.
//! * A [`Probe`] counts a stage as alive until its future is gone, however it goes.
//!
//! # Errors
//!
//! [`GrammarError`] lists the rules that a run's events break, and [`oracle::ReplayError`] names the first event that should not
//! have been. Everything else panics: these are tests.
//!
//! # Feature flags
//!
//! | feature | adds |
//! |---|---|
//! | `postgres` | `postgres::Cluster`, a Postgres of a test's own |
//! | `python` | `python::brought`, programs that the Python registry has |
//! | `tokens` | the module `tokens`, with signed tokens for tests of whoever checks them |
//!
//! None is on by default.
//!
//! # Where it sits
//!
//! Above `stageflow-executor`, for `[dev-dependencies]`. Every crate of the workspace is tested with it.
//!
//! # Stability
//!
//! Beta; [`branches`], [`dag`], [`oracle`], [`program`] and [`wiring`] are made for the engine's own tests and may change faster. The minimum supported
//! Rust version is 1.95.

pub mod branches;
pub mod conformance;
pub mod dag;
mod door;
mod gate;
mod grammar;
pub mod oracle;
#[cfg(all(unix, feature = "postgres"))]
pub mod postgres;
mod probe;
pub mod program;
mod property;
#[cfg(all(unix, feature = "python"))]
pub mod python;
mod recording;
pub mod script;
mod scripted;
mod time;
#[cfg(feature = "tokens")]
pub mod tokens;
pub mod wiring;

pub use door::door;
pub use gate::Gate;
pub use grammar::{EventGrammar, GrammarError, Rule, Violation};
pub use probe::{LiveGuard, Probe};
pub use property::Property;
pub use proptest;
pub use recording::{Recorded, RecordingSink};
pub use scripted::Scripted;
pub use time::{Flavour, TestRuntime, on_each_runtime, paused};
