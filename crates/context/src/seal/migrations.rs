//! How bytes of an older form become those of the newest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::BoxError;

type Step = Arc<dyn Fn(Vec<u8>) -> Result<Vec<u8>, BoxError> + Send + Sync>;

/// How bytes of an older version of a form become those of the next one, version by version.
///
/// ```
/// use stageflow_context::{Migrations, SealKey, SealKeys, SealedAs};
///
/// let keys = SealKeys::new(SealKey::new(1, [17; 32]));
/// let sealed = keys.seal(&SealedAs::new("notes", 1), b"hello");
///
/// let now = SealedAs::new("notes", 2); // since version 2, notes end with a full stop
/// let older = Migrations::new().from_version(1, |mut note| {
///     note.push(b'.');
///     Ok(note)
/// });
/// assert_eq!(sealed.open_with(&keys, &now, &older)?, b"hello.");
/// assert_eq!(sealed.open(&keys, &now).unwrap_err().code(), "SF0225");
/// # Ok::<(), stageflow_context::SealError>(())
/// ```
#[derive(Clone, Default)]
pub struct Migrations(BTreeMap<u32, Step>);

impl Migrations {
    /// None: bytes of an older version are refused.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The same, and this one from `version` to the one after it.
    #[must_use]
    pub fn from_version<F>(mut self, version: u32, step: F) -> Self
    where
        F: Fn(Vec<u8>) -> Result<Vec<u8>, BoxError> + Send + Sync + 'static,
    {
        self.0.insert(version, Arc::new(step));
        self
    }

    pub(super) fn step(&self, version: u32) -> Option<&Step> {
        self.0.get(&version)
    }
}

impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
