//! What outlives one question: the transcript, the memory of it, and the reader's profile.

pub(crate) mod memory;
pub(crate) mod profile;
pub(crate) mod transcript;
