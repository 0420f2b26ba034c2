//! A journal to try things on.

/// The text of a small journal: two runs of a pipeline that loads a document, asks a model about each of its pages and
/// writes an answer. The second run fails. Made for documentation and tests.
pub const EXAMPLE: &str = include_str!("example.jsonl");
