//! Behaviour tests over all crates.

#[cfg(test)]
mod support;

mod brackets;
mod by_name;
mod cancel;
mod cleanup;
mod compose;
mod context;
mod drawing;
mod dropped;
mod ending;
mod errors;
mod events;
mod happy;
mod props;
mod hostile;
mod interceptors;
mod long_poll;
mod many;
mod panic;
mod placement;
mod report;
mod skip_optional;
mod timeout;
