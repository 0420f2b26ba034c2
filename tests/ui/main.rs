//! Compile-fail tests: what the compiler tells a user who wires, writes or wraps a stage wrongly.
//!
//! Each file in `fail/` is a mistake, and the `.stderr` beside it is the whole message. After a change on purpose, look at
//! what `TRYBUILD=overwrite cargo test -p stageflow-ui` writes, as the user who made the mistake.

use std::process::Command;

/// The messages are the compiler's as much as ours, so they are compared on the one that is pinned.
const PINNED: &str = concat!("rustc ", env!("CARGO_PKG_RUST_VERSION"), ".");

#[test]
fn a_mistake_is_answered_with_what_to_do() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .unwrap()
        .stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(PINNED) {
        println!("skipped: the messages are those of {PINNED}x, and this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}
