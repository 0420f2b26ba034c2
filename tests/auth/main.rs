//! Who is let in: a program of its own, because it makes keys, starts servers, and brings an identity provider.

#![cfg(test)]

mod admission;
mod erased;
mod http;
mod keys;
mod matrix;
mod messages;
mod props;
mod provider;
mod refused;
mod support;
