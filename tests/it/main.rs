//! Behaviour tests over all crates.

#[cfg(test)]
mod support;

mod cancel;
mod cleanup;
mod dropped;
mod ending;
mod happy;
mod props;
mod skip_optional;
mod timeout;
