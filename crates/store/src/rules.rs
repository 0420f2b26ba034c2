//! What can be kept, the same in every database.

use crate::{Class, Row, Scan, StoreError, StoreErrorKind, Write};

impl Row {
    /// How many bytes a key may have.
    pub const MAX_KEY: usize = 255;
    /// How many bytes a body may have: 8 MiB.
    pub const MAX_BODY: usize = 8 << 20;

    /// Whether a row can be kept under this key: it has 1 to 255 bytes and none of them is 0, which not every database can
    /// keep in a text.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if it cannot.
    pub fn check_key(key: &str) -> Result<(), StoreError> {
        match key.len() {
            1..=Self::MAX_KEY if !key.contains('\0') => Ok(()),
            _ => Err(invalid("looking at a key")),
        }
    }

    /// Whether this row can be kept: its key and its body can be, and its times fit into 63 bits.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if it cannot.
    pub fn check(&self) -> Result<(), StoreError> {
        Self::check_key(&self.key)?;
        let fits = |time: u64| i64::try_from(time).is_ok();
        let body = 1..=Self::MAX_BODY;
        let is_whole = body.contains(&self.body.len()) && !self.body.contains('\0');
        match is_whole && fits(self.at) && self.until.is_none_or(fits) {
            true => Ok(()),
            false => Err(invalid("looking at a row")),
        }
    }

    /// Whether it is there at this time, in milliseconds since 1970.
    #[must_use]
    pub fn is_there(&self, now: u64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Write {
    /// How many changes one commit may have.
    pub const MOST: usize = 4_096;

    /// Of which class the row is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Delete { class, .. }
            | Self::Insert { class, .. }
            | Self::Put { class, .. }
            | Self::Swap { class, .. } => *class,
        }
    }

    /// Under which key it is.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Delete { key, .. } => key,
            Self::Insert { row, .. } | Self::Put { row, .. } | Self::Swap { row, .. } => &row.key,
        }
    }

    /// Whether these can be carried out at all. Every database looks before it does anything.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if one cannot, or if there are too many.
    pub fn check(writes: &[Self]) -> Result<(), StoreError> {
        if writes.len() > Self::MOST {
            return Err(invalid("counting the changes of a commit"));
        }
        writes.iter().try_for_each(|write| match write {
            Self::Delete { key, .. } => Row::check_key(key),
            Self::Insert { row, .. } | Self::Put { row, .. } | Self::Swap { row, .. } => {
                row.check()
            }
        })
    }
}

impl Scan {
    /// How many rows may be asked for at once. More is refused and not cut: whoever asks goes on after the last key.
    pub const MOST: u32 = 10_000;

    /// Whether it can be asked.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Invalid`] if it asks for too many rows, or with a text that cannot be part of a key.
    pub fn check(&self) -> Result<(), StoreError> {
        let is_text = |text: &str| text.len() <= Row::MAX_KEY && !text.contains('\0');
        let fits = self.most <= Self::MOST
            && is_text(&self.prefix)
            && self.after.as_deref().is_none_or(is_text)
            && self
                .before
                .is_none_or(|before| i64::try_from(before).is_ok());
        match fits {
            true => Ok(()),
            false => Err(invalid("looking at what a scan asks for")),
        }
    }

    /// The first text, in the order of bytes, that is greater than all that start with the prefix; `None` if there is none.
    /// For databases that compare instead of looking at how a text starts.
    ///
    /// ```
    /// use stageflow_store::{Class, Scan};
    ///
    /// let scan = Scan::of(Class::Events).starting_with("run_7/");
    /// assert_eq!(scan.ceiling().as_deref(), Some("run_70"));
    /// assert_eq!(Scan::of(Class::Events).ceiling(), None);
    /// ```
    #[must_use]
    pub fn ceiling(&self) -> Option<String> {
        let mut text = self.prefix.clone();
        while let Some(last) = text.pop() {
            // UTF-8 is in the order of the characters, and a range steps over the surrogates.
            if let Some(next) = (last..=char::MAX).nth(1) {
                text.push(next);
                return Some(text);
            }
        }
        None
    }

    /// Whether it means this row, which is there.
    #[must_use]
    pub fn means(&self, row: &Row) -> bool {
        row.key.starts_with(&self.prefix)
            && self.after.as_ref().is_none_or(|after| row.key > *after)
            && self.user.is_none_or(|user| row.user == Some(user))
            && self.before.is_none_or(|before| row.at < before)
    }
}

fn invalid(doing: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, doing)
}

#[cfg(test)]
mod tests {
    use stageflow_testkit::Property;
    use stageflow_testkit::proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_parts_what_starts_with_the_prefix_from_what_comes_after() {
        let text =
            "[a-c\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}";
        Property::new("a text is below the ceiling, or does not start so").holds_for(
            &(text, text),
            |(prefix, key)| {
                let scan = Scan::of(Class::Runs).starting_with(&*prefix);
                let below = scan.ceiling().is_none_or(|ceiling| key < ceiling);
                prop_assert_eq!(key >= prefix && below, key.starts_with(&prefix));
                Ok(())
            },
        );
    }
}
