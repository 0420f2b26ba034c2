//! A registry as it looks from outside, without an engine: who is let in, when, and what is counted.

#![cfg(test)]

mod guests;
mod meter;
mod program;
mod quotas;
mod registry;
mod storm;
mod support;
mod texts;
mod turns;
mod wakes;
