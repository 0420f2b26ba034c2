//! Behaviour tests over all crates.

#![cfg(test)]

mod support;

mod approval;
mod approval_desk;
mod approval_who;
mod attempts;
mod bare;
mod blocking;
mod brackets;
mod budget;
mod budget_books;
mod by_name;
mod cancel;
mod cancel_inside;
mod children;
mod children_end;
mod children_endings;
mod children_refused;
mod cleanup;
mod compose;
mod context;
mod critical_path;
mod deadline;
mod drawing;
mod drawing_branches;
mod dropped;
mod ending;
mod errors;
mod events;
mod failure_policy;
mod fallback;
mod grace;
mod happy;
mod hostile;
mod interceptors;
mod joining;
mod loops;
mod many;
mod maps;
mod notes;
mod panic;
mod parts;
mod placement;
mod prompt;
mod props;
mod races;
mod report;
mod routing;
mod shutdown;
mod skip_optional;
mod streaming;
mod time;
mod timeout;
mod watchdog;
