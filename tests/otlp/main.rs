//! What arrives at an OpenTelemetry collector.

#![cfg(test)]

mod support;

mod bridge;
mod errors;
mod failing;
mod metrics;
mod rotel;
mod traces;
