//! Pipelines of typed stages, run as a DAG, that can say afterwards exactly what happened.
//!
//! ```text
//!   stages + handles ──▶ Pipeline<I, O> ──▶ Engine ──▶ RunReport<O>
//!      the compiler        validated,         layers      outcome, output, every finished value,
//!      checks the wiring   drawn, shared      and sinks   every error, every stage's times
//! ```
//!
//! ```
//! use stageflow::prelude::*;
//! use std::sync::Arc;
//!
//! async fn words(_cx: StageCx, text: Arc<String>) -> Result<Vec<String>, Stop> {
//!     Ok(text.split_whitespace().map(str::to_lowercase).collect())
//! }
//!
//! async fn longest(_cx: StageCx, words: Arc<Vec<String>>) -> Result<String, Stop> {
//!     words.iter().max_by_key(|word| word.len()).cloned().ok_or_else(|| Stop::skip("no words"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut p = Pipeline::builder("longest-word");
//! let text = p.input::<String>();
//! let words = p.stage("words", stage_fn(words)).after(text);
//! let longest = p.stage("longest", stage_fn(longest)).timeout(2.secs()).after(words);
//! let pipeline = p.output(longest).build()?;
//!
//! let engine = Engine::builder().intercept(Timeout::attempt(30.secs())).build();
//! let report = engine.run(&pipeline, "A pipeline of Stages".to_owned(), RunOptions::new()).await;
//! assert_eq!(report.output()?, "pipeline");
//! # Ok(()) }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | look at |
//! |---|---|
//! | write a stage | [`graph::Stage`], [`graph::stage_fn`], [`context::StageCx`], [`context::Stop`] |
//! | wire a pipeline | [`graph::Pipeline::builder`]; from data: [`graph::PipelineSpec`] |
//! | go one of several ways | [`graph::Route`], [`graph::Join`], [`graph::StageBuilder::or`] |
//! | do the same many times | [`graph::map()`], [`graph::repeat()`], [`graph::correct()`] |
//! | run a pipeline from a stage | [`executor::sub`], [`executor::RunChild`] |
//! | share what is scarce, spend within bounds, ask a person | [`executor::Lend`], [`context::Budget`], [`executor::approval()`] |
//! | read an answer while it grows | [`executor::Run::stream`] |
//! | run it | [`executor::Engine`], [`executor::RunOptions`] |
//! | know what happened | [`executor::RunReport`], [`events`] |
//! | bound what is sent, and count what is lost | [`events::BoundedSink`], [`events::FanOut`] |
//! | keep a journal that shows what was altered | [`events::Journal`] |
//! | keep secrets out of what is written down | [`context::Redacted`], [`events::Redaction`] |
//! | have calls to models and tools on record | [`context::Operation`], [`context::StageCx::operation`] |
//! | take up traces that come, and hand them on | [`context::TraceContext`], [`context::StageCx::trace_headers`] |
//! | send to OpenTelemetry | the crate `stageflow-otel` |
//! | look back at runs, or watch them | the crate `stageflow-lens` |
//! | hand on chunks at two speeds | the crate `stageflow-streaming` |
//! | wrap stages | [`interceptors`] |
//! | learn it in order | [`manual`] |
//! | look up an error code | [`errors`] |
//! | test your pipelines | the crate `stageflow-testkit` |
//!
//! # Invariants
//!
//! * The compiler checks the wiring; what it cannot check, `build()` checks, all of it at once.
//! * A stage starts the moment its last upstream stage has ended.
//! * A run is over when everything it started has ended and every cleanup has run; never before.
//! * Every ending has the same report, with every finished output.
//!
//! # Errors
//!
//! Every error has a stable code with a page: [`errors`].
//!
//! # Feature flags
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `cedar` | off | `auth::CedarPolicy`: policies written in Cedar |
//! | `jwt` | off | `auth::JwtAuthenticator`: signed tokens |
//! | `log-lines` | off | `events::LogLines`, which writes log lines as JSON, for programs that use `tracing-subscriber` |
//! | `oidc` | off | `auth::Jwks`: keys that an identity provider publishes; with it `jwt` |
//! | `rates` | off | `RateLimit`: so many calls a second |
//! | `tower` | off | `TowerLayer`: any tower layer around stages; `Engine::service`: a pipeline as a tower service |
//!
//! # Where it sits
//!
//! On top. It adds nothing of its own but [`prelude`], [`DurationExt`] and the [`manual`]; depend on single crates
//! (`stageflow-graph`, `stageflow-events`, ...) where you need less.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

pub mod errors;
pub mod manual;
pub mod prelude;
mod time;

pub use stageflow_auth as auth;
pub use stageflow_context as context;
pub use stageflow_events as events;
pub use stageflow_executor as executor;
pub use stageflow_graph as graph;
pub use stageflow_interceptors as interceptors;
pub use stageflow_tenancy as tenancy;
pub use time::DurationExt;
