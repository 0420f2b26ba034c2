//! Properties that hold for any pipeline: many random ones, each held against an oracle that shares no code with the engine.

mod branching;
mod budgets;
mod desk;
mod dropped;
mod every_await;
mod inputs;
mod lens;
mod lens_defects;
mod onion;
mod patience;
mod paused;
mod programs;
mod streaming;
mod support;
mod threads;
mod together;
mod undo;
