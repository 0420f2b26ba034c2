//! Wherever engines leave something of a user: erased it is nowhere, and what is others' is there.

#![cfg(test)]

mod answers;
mod approvals;
mod memory;
mod places;
mod support;
