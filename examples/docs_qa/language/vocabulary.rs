//! The stems of a folder, and near misses among them.

use std::collections::HashMap;

/// How often each stem occurs in a folder, and near misses of a stem among them.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    ids: HashMap<String, u32>,
    stems: Vec<String>,
}

impl Vocabulary {
    pub(crate) fn intern(&mut self, stem: &str) -> u32 {
        if let Some(id) = self.ids.get(stem) {
            return *id;
        }
        let id = u32::try_from(self.stems.len()).unwrap_or(u32::MAX);
        self.ids.insert(stem.to_owned(), id);
        self.stems.push(stem.to_owned());
        id
    }

    pub(crate) fn get(&self, stem: &str) -> Option<u32> {
        self.ids.get(stem).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.stems.len()
    }

    pub(crate) fn stem(&self, id: u32) -> &str {
        &self.stems[id as usize]
    }

    /// Stems that are another form of `stem`: one begins with the other, as `fail` and `failur` do.
    pub(crate) fn kin(&self, stem: &str) -> Vec<u32> {
        let related = |other: &str| {
            let (short, long) = if stem.len() < other.len() {
                (stem, other)
            } else {
                (other, stem)
            };
            short.len() >= 4
                && long.len() - short.len() <= 4
                && short != long
                && long.starts_with(short)
        };
        self.matching(related)
    }

    /// The releases of a version: 2.28 has 2.28.0 and 2.28.1.
    pub(crate) fn versions(&self, stem: &str) -> Vec<u32> {
        let is_number = stem.starts_with(|c: char| c.is_ascii_digit());
        let is_release = |other: &str| {
            other
                .strip_prefix(stem)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        if is_number {
            self.matching(is_release)
        } else {
            Vec::new()
        }
    }

    /// Stems that are `stem` but for a slip or a spelling (`colour`, `color`).
    pub(crate) fn misspellings(&self, stem: &str) -> Vec<u32> {
        let length = stem.chars().count();
        let slip = |other: &str| {
            let longer = length.max(other.chars().count());
            let allowed = if longer >= 9 {
                2
            } else {
                usize::from(longer >= 6)
            };
            other.len().abs_diff(stem.len()) <= allowed
                && other.chars().next() == stem.chars().next()
                && strsim::damerau_levenshtein(stem, other) <= allowed
        };
        if length < 5 || stem.chars().any(char::is_numeric) {
            Vec::new()
        } else {
            self.matching(slip)
        }
    }

    fn matching(&self, is_match: impl Fn(&str) -> bool) -> Vec<u32> {
        (0u32..)
            .zip(&self.stems)
            .filter(|(_, other)| is_match(other))
            .map(|(id, _)| id)
            .collect()
    }
}
