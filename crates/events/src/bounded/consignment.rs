//! What a courier is given, and where it notes what became of each entry.

use std::fmt;
use std::time::Duration;

use crate::Entry;
use crate::bounded::core::Core;
use crate::bounded::fates::Fate;

/// Entries on their way out of a bounded sink, for a [`Courier`](crate::Courier): each has its place, and it is noted by its place
/// what became of it. The first note that something was taken or refused stays.
pub struct Consignment<'a> {
    core: &'a Core,
    entries: &'a [Entry],
    /// The places of what is left.
    left: Vec<usize>,
    limit: Duration,
    is_last: bool,
    why: Option<String>,
}

impl<'a> Consignment<'a> {
    pub(super) fn new(
        core: &'a Core,
        entries: &'a [Entry],
        (limit, is_last): (Duration, bool),
    ) -> Self {
        Self {
            core,
            entries,
            left: core.retake(),
            limit,
            is_last,
            why: None,
        }
    }

    /// What was left when this call began, in order, each with its place: neither taken nor refused by a call before.
    pub fn left(&self) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a, '_> {
        let entries = self.entries;
        let entry = move |place: &usize| Some((*place, entries.get(*place)?));
        self.left.iter().filter_map(entry)
    }

    /// What is at these places is where it goes.
    pub fn taken(&mut self, places: impl IntoIterator<Item = usize>) {
        self.core.note(Fate::Taken, places);
    }

    /// What is at these places is not taken, and never will be: it is lost, and counted.
    pub fn refused(&mut self, places: impl IntoIterator<Item = usize>, why: impl fmt::Display) {
        self.core.note(Fate::Refused, places);
        self.why = Some(why.to_string());
    }

    /// What is at these places is not taken now: it comes again, unless this was the [last](Self::is_last) try. Then it is lost, and
    /// counted.
    pub fn later(&mut self, places: impl IntoIterator<Item = usize>, why: impl fmt::Display) {
        self.core.note(Fate::Later, places);
        self.why = Some(why.to_string());
    }

    /// How long the call may take. Then it is dropped, and counts as one that has failed.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether what is not taken now is not tried again.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// What was said last of what was not taken.
    pub(super) fn into_why(self) -> String {
        self.why.unwrap_or_default()
    }
}

impl fmt::Debug for Consignment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consignment")
            .field("left", &self.left.len())
            .field("is_last", &self.is_last)
            .finish_non_exhaustive()
    }
}
