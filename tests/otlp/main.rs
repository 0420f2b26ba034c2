//! What arrives at an OpenTelemetry collector.

#![cfg(test)]

mod support;

mod failing;
mod metrics;
mod rotel;
mod traces;
