//! What a verifier has seen.

use super::JournalHead;

/// What was found to be as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many files.
    pub files: u64,
    /// How many records, chained or not. Of those that are not chained nobody can say whether they were altered, only whether
    /// there are as many as the journal's own lines say.
    pub records: u64,
    /// How many of them are chained.
    pub chained: u64,
    /// How many of the records are tombstones: what was in them was erased. Nobody can see from the files who did that; see
    /// [`erase`](super::erase).
    pub erased: u64,
    /// What the first line goes on from: [`JournalHead::NONE`] if nothing was before it.
    pub start: JournalHead,
    /// The last chained line.
    pub head: JournalHead,
}

impl Verified {
    pub(super) const NOTHING: Self = Self {
        files: 0,
        records: 0,
        chained: 0,
        erased: 0,
        start: JournalHead::NONE,
        head: JournalHead::NONE,
    };
}
