//! Who asks, by name.

use std::fmt;
use std::sync::Arc;

/// What whoever vouches for somebody calls them, such as `ada@acme` or the name of a key for programs. Who proves who asks
/// attaches it to the run; whoever tells what must be known afterwards names it, also where nobody is a user.
///
/// ```
/// use stageflow_context::{Attached, Subject};
///
/// let mut attached = Attached::new();
/// attached.insert(Subject::new("nightly-import"));
/// assert_eq!(attached.get::<Subject>().unwrap().as_str(), "nightly-import");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Somebody who is called this.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// What they are called.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
