//! The harness itself: oracles that agree with each other and with worked examples, cases that shrink, seeds that repeat.

#![cfg(test)]

mod oracle;
mod shrinking;
