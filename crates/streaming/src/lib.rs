//! Queues of chunks between Stageflow stages, which say when they drop, throttle and run dry.
//!
//! ```text
//!   ChunkSender ─┐                        ┌─▶ ChunkReceiver       counts: offered = accepted + dropped
//!   ChunkSender ─┼─▶ [ ChunkQueue ] ──────┤                               accepted = taken + queued + discarded
//!   ChunkSender ─┘   full: wait | drop    └─▶ ChunkReceiver
//!                         │
//!                         └─▶ Tell (a StageCx) ─▶ stream.chunk_dropped, stream.throttle_started, ...
//!
//!   push(chunk, 60 ms) ─▶ [ PlayoutBuffer ] ─▶ pull(20 ms)        fills to its target, never above its maximum
//! ```
//!
//! ```
//! use std::num::NonZeroUsize;
//! use stageflow_context::{StageCx, Stop};
//! use stageflow_streaming::{ChunkQueue, OnFull};
//!
//! async fn transcribe(cx: StageCx, frames: Vec<u8>) -> Result<usize, Stop> {
//!     const ROOM: NonZeroUsize = NonZeroUsize::new(64).unwrap();
//!     let (sender, receiver) = ChunkQueue::new(ROOM, OnFull::DropOldest).named("frames").telling(cx).split();
//!     let listen = async move {
//!         for frame in frames {
//!             sender.send(frame).await?;
//!         }
//!         Ok::<_, Stop>(())
//!     };
//!     let recognise = async {
//!         let mut heard = 0;
//!         while let Some(_frame) = receiver.recv().await {
//!             heard += 1;
//!         }
//!         Ok::<_, Stop>(heard)
//!     };
//!     let ((), heard) = tokio::try_join!(listen, recognise)?;
//!     Ok(heard)
//! }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | hand chunks from one piece of code to another, at two speeds | [`ChunkQueue`] |
//! | choose what happens when it is full | [`OnFull`] |
//! | even out sound, or anything that lasts some time | [`PlayoutBuffer`] |
//! | have it told as events of a stage | `telling(cx)` |
//! | have it told elsewhere | [`Tell`] |
//! | stream to whoever started the run | `cx.chunk(..)`, in `stageflow-context` |
//!
//! # Invariants
//!
//! * A queue never holds more than its capacity, a buffer never more than its maximum, not by a part of a chunk.
//! * Offered = accepted + dropped, and accepted = taken + queued + discarded, at any moment ([`ChunkCounts`]). Of a buffer,
//!   pushed = played + dropped + held, to the nanosecond ([`PlayoutCounts`]).
//! * Chunks of one sender come out in the order in which they went in.
//! * A closed queue ends for everybody: senders that wait get their chunk back, each receiver gets `None` once it is empty.
//! * Of each kind of event the first is said at once, and then at most one a second, with a count; `stream.queue_closed` has
//!   the totals. So a queue that drops all day cannot fill the run's buffer of events.
//! * While nothing is dropped, nobody waits and the queue is not nearly full, the clock is not read.
//!
//! # Errors
//!
//! `SF0561` and `SF0562` ([`SendError`]) give a chunk back to its sender; `SF0563` ([`PlayoutError`]) refuses a buffer that
//! could never start to play.
//!
//! # Feature flags
//!
//! None.
//!
//! # Where it sits
//!
//! Beside the graph and the executor: above `stageflow-context`, and known by no other crate of the library.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod counts;
mod error;
mod pace;
mod playout;
mod queue;
mod receiver;
mod saying;
mod sender;
mod state;
mod tell;

pub use counts::ChunkCounts;
pub use error::{PlayoutError, SendError, SendErrorKind};
pub use playout::{Piece, PlayoutBuffer, PlayoutCounts, Pulled};
pub use queue::{ChunkQueue, OnFull};
pub use receiver::ChunkReceiver;
pub use sender::{ChunkSender, Sent};
pub use tell::Tell;
