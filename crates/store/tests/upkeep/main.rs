//! Audit trails, erasure and retention.

#![cfg(test)]

mod audit;
mod audit_altered;
mod audit_sink;
mod erasure;
mod erasure_stopped;
mod retention;
mod support;
