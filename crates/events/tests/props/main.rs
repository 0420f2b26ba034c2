//! Properties of the bounded sink, held against a model of it that is as plain as can be.

#![cfg(test)]

mod bounded;
mod model;
