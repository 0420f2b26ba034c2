//! What wraps a stage: the onion and its built-in layers.
//!
//! ```text
//!   call ─▶ security ─▶ admission ─▶ idempotency ─▶ cache ─▶ breaker ─▶ retry ─▶ timeout ─▶ telemetry ─▶ inner ─▶ STAGE
//!  reply ◀─ security ◀─ admission ◀─ idempotency ◀─ cache ◀─ breaker ◀─ retry ◀─ timeout ◀─ telemetry ◀─ inner ◀─┘
//!            deny        refuse       replay         hit      open       again    too long   record
//! ```
//!
//! ```
//! use stageflow_interceptors::{Call, Flow, Hook, Phase, Stack, Timeout};
//! use std::time::Duration;
//!
//! /// Lets nothing run that changes the world.
//! struct ReadOnly;
//!
//! impl Hook for ReadOnly {
//!     fn name(&self) -> &str { "read-only" }
//!     fn phase(&self) -> Phase { Phase::Security }
//!     fn enter(&self, call: &mut Call<'_>) -> Flow {
//!         match call.kind() {
//!             stageflow_graph::StageKind::Work => Flow::Deny(call.denied("read-only", "this engine changes nothing")),
//!             _ => Flow::Continue,
//!         }
//!     }
//! }
//!
//! let stack = Stack::new().with(Timeout::attempt(Duration::from_secs(5))).with(ReadOnly);
//! assert_eq!(stack.describe(), "\
//! call
//! └ read-only [security, hook]
//!   └ timeout [timeout, hook]
//!     └ stage
//! ");
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | decide whether a run may start at all | [`Admission`] |
//! | look, refuse, answer, or change an ending | [`Hook`] |
//! | wait, call again, or not at all | [`Around`] |
//! | limit how long attempts take | [`Timeout`] |
//! | stop calling what is not well | [`Breaker`] |
//! | make calls fail on purpose | [`Chaos`] |
//! | try again after transient failures | [`Retry`] |
//! | have only so many calls at a time | [`Bulkhead`] |
//! | have only so many calls a second | `RateLimit`, with the feature `rates` |
//! | use a layer that is written for tower | `TowerLayer`, with the feature `tower` |
//! | have a `tracing` span for each call | [`Trace`] |
//! | say what a panic amounts to | [`CatchPanic`] |
//! | not do work again that is asked for again | [`IdempotentWork`] |
//! | give again what a stage gave for the same input | `Cache`, with the feature `cache` |
//! | hold values to a JSON Schema | `JsonContract`, `Contracts`, with the feature `schema` |
//! | hold values of your own types to a rule | [`check`](check()) |
//! | notice what changes that nobody may change | [`ContextImmutabilityValidator`] |
//! | notice runs that carry too much about, or go round in circles | [`ContextSize`], [`LoopGuard`] |
//! | mean some stages only | [`On`], [`Stacks`] |
//! | see the order | [`Stack::describe`] |
//!
//! # Invariants
//!
//! * The order is by [`Phase`], then by registration. Nothing is ever outside the security phase.
//! * A layer that was entered is left exactly once, in reverse order, whatever the ending; unless it said on the way in that
//!   it need not be ([`Flow::Pass`], [`Flow::Guard`]).
//! * A panic in a layer fails the call; it does not open the way to the stage.
//! * An empty stack is empty, and costs nothing.
//! * A denial is an ending of its own, never a success without data. A rejection is a failure, and counts for nothing in
//!   breakers.
//! * What a layer keeps from call to call is found by a [`Key`], with the org in it unless it is written that orgs share it.
//!
//! # Errors
//!
//! What a layer objects to is a `StageError`: `SF0305` denied, `SF0307` the wrong type, `SF0313` rejected, `SF0314` against a
//! contract, `SF0315` a key used before. [`StackError`] (`SF0411`, `SF0412`) says which layers cannot stand together,
//! [`idempotency::StoreError`] (`SF0701` to `SF0704`) why an answer cannot be kept; a contract that is none is `SF0316` or
//! `SF0317`.
//!
//! # Feature flags
//!
//! * `cache`: `Cache`. * `rates`: `RateLimit`. * `schema`: `JsonContract`, `Contracts`, `compat`. * `tower`: `TowerLayer`.
//!
//! None is on by default.
//!
//! # Where it sits
//!
//! Above `stageflow-graph` and `stageflow-events`, below `stageflow-executor`. It knows neither auth nor tenancy: those come
//! to an engine as layers.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod admission;
mod bits;
mod breaker;
mod bulkhead;
#[cfg(feature = "cache")]
mod cache;
mod call;
mod call_state;
mod catch_panic;
mod chaos;
mod claim;
mod contract;
mod ending;
mod forget;
pub mod idempotency;
mod key;
mod keyed;
mod layer;
mod lent;
mod limits;
mod millis;
mod on;
mod panics;
mod phase;
#[cfg(feature = "rates")]
mod rate;
mod retry;
mod stack;
mod stack_error;
mod stacks;
mod timeout;
#[cfg(feature = "tower")]
mod tower;
mod trace;
mod watch;
mod whereabouts;

pub use async_trait::async_trait;

#[cfg(feature = "tower")]
pub use crate::tower::{StageRequest, StageResponse, StageService, TowerLayer};
pub use admission::{Admission, Arrival, Pass, Refusal, RefusalKind};
pub use breaker::{Breaker, BreakerState, Percent};
pub use bulkhead::{Aimd, Bulkhead, BulkheadView, Shedding};
#[cfg(feature = "cache")]
pub use cache::{Cache, CacheStats};
pub use call::Call;
pub use call_state::CallState;
pub use catch_panic::CatchPanic;
pub use chaos::{Chance, Chaos, Injected};
pub use claim::Claim;
#[cfg(feature = "schema")]
pub use contract::{
    Breaks, Broken, Compat, ContractError, ContractErrorKind, Contracts, Finding, JsonContract,
    SchemaError, Violations, compat,
};
pub use contract::{Check, check};
pub use ending::Ending;
pub use forget::ForgetUser;
pub use idempotency::{IdempotencyStore, IdempotentWork, MemoryIdempotencyStore};
pub use key::{Key, KeyBy};
pub use layer::{
    Around, AroundShape, Attempt, Flow, Hook, HookShape, Interceptor, Layer, LayerShape,
};
pub use lent::{Lent, WaitsFor};
pub use limits::Limits;
pub use millis::millis_up;
pub use on::On;
pub use panics::{drop_quietly, panic_message};
pub use phase::Phase;
#[cfg(feature = "rates")]
pub use rate::RateLimit;
pub use retry::{Jitter, Retry, RetryBudget, parse_retry_after};
pub use stack::{Next, Stack};
pub use stack_error::{StackError, StackErrorKind};
pub use stacks::{PlanStacks, Stacks};
pub use timeout::Timeout;
pub use trace::Trace;
pub use watch::{ContextImmutabilityValidator, ContextSize, LoopGuard};
pub use whereabouts::Whereabouts;
