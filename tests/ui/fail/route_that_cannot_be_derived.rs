//! Enums, and other things, that cannot be routes.

use stageflow::prelude::*;

#[derive(Route)]
struct NotAnEnum;

#[derive(Route)]
enum Empty {}

#[derive(Route)]
enum Generic<T> {
    One(T),
}

#[derive(Route)]
enum Named {
    One { number: u64 },
}

#[derive(Route)]
#[route(path = "elsewhere")]
enum Setting {
    One,
}

fn main() {}
