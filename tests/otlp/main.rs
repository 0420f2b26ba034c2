//! What arrives at an OpenTelemetry collector.

#![cfg(test)]

mod support;

mod failing;
mod metrics;
mod traces;
