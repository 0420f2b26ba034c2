//! What arrives at an OpenTelemetry collector.

#![cfg(test)]

mod support;

mod traces;
