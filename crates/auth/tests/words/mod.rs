//! What may be done, in words to try it with.

use proptest::collection::vec;
use proptest::prelude::*;

/// Few words, so that they meet.
pub(crate) fn action() -> impl Strategy<Value = String> {
    vec("[ab]{1,2}", 1..4).prop_map(|words| words.join(":"))
}

/// An action, all that begin like one, or everything.
pub(crate) fn permission() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => action(),
        3 => action().prop_map(|words| format!("{words}:*")),
        1 => Just("*".to_owned()),
    ]
}
