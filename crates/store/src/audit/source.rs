//! Where a draft comes from, so that the same thing is not told twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::AuditDraft;

/// Where a draft comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Whoever appends says so: all that comes from there is the same thing.
    Once(String),
    /// A place among the events of a run. A run that was put back counts its events anew, and something else may have the same
    /// place then: it is the `nth` that is told from there.
    Event { place: String, nth: u32 },
}

impl Source {
    pub(super) fn event(place: String) -> Self {
        Self::Event { place, nth: 1 }
    }

    /// What an entry keeps of it, and the row that leads there.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Once(text)
            | Self::Event {
                place: text,
                nth: 1,
            } => text.clone(),
            Self::Event { place, nth } => format!("{place}~{nth}"),
        }
    }

    /// The next one, if something else may come from there.
    pub(super) fn next(&self) -> Option<Self> {
        match self {
            Self::Once(_) => None,
            Self::Event { place, nth } => Some(Self::Event {
                place: place.clone(),
                nth: nth.checked_add(1)?,
            }),
        }
    }

    /// The first of them.
    pub(super) fn first(self) -> Self {
        match self {
            Self::Once(_) => self,
            Self::Event { place, .. } => Self::event(place),
        }
    }
}

/// These without what is there twice, each from a source of its own.
pub(super) fn distinct(drafts: Vec<AuditDraft>) -> Vec<AuditDraft> {
    let mut seen = HashMap::<String, usize>::new();
    let mut kept = Vec::<AuditDraft>::with_capacity(drafts.len());
    for mut draft in drafts {
        let is_new = loop {
            let Some(source) = &draft.source else {
                break true;
            };
            match seen.entry(source.text()) {
                Entry::Vacant(free) => {
                    free.insert(kept.len());
                    break true;
                }
                Entry::Occupied(taken) if kept[*taken.get()].tells_the_same(&draft) => break false,
                Entry::Occupied(_) => match source.next() {
                    Some(next) => draft.source = Some(next),
                    None => break false,
                },
            }
        };
        if is_new {
            kept.push(draft);
        }
    }
    kept
}
