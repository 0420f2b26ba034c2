//! The scheduling machine alone: every interleaving of small pipelines, and its timers, held against naive models.

#![cfg(test)]

mod graphs;
mod interleavings;
mod model;
mod timers;
