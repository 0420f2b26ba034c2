//! What can be wrong with a snapshot.

use std::error::Error;
use std::fmt;

/// A snapshot that cannot be written or read, or a value that cannot go into one.
///
/// The text names the place, as in `body.conversation.messages[3].role`, and what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct SnapshotError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: SnapshotErrorKind,
    path: String,
    problem: String,
}

/// The ways in which a snapshot can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotErrorKind {
    /// The content is not what was written: the digest differs.
    Altered,
    /// A field is missing, unknown, of the wrong type, or out of range.
    BadField,
    /// An object has the same key twice.
    DuplicateKey,
    /// An extension does not survive its own JSON form.
    Extension,
    /// A newer version of the library wrote it.
    NewerVersion,
    /// The text is not JSON.
    NotJson,
    /// A value is nested too deep.
    TooDeep,
    /// The text has too many bytes.
    TooLarge,
    /// There are too many messages, documents, extensions, or metadata entries.
    TooMany,
    /// The text ends too early.
    Truncated,
    /// The text is JSON, but not a snapshot.
    WrongSchema,
}

impl SnapshotError {
    pub(super) fn new(
        kind: SnapshotErrorKind,
        path: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            path: path.into(),
            problem: problem.into(),
        }))
    }

    /// The same error, of something that is at `place`.
    pub(super) fn under(mut self, place: &str) -> Self {
        let separator = if self.0.path.is_empty() || self.0.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.0.path = format!("{place}{separator}{}", self.0.path);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> SnapshotErrorKind {
        self.0.kind
    }

    /// Where, if it is known: a path such as `body.conversation.messages[3].role`, or the name of an extension.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        (!self.0.path.is_empty()).then_some(&*self.0.path)
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            SnapshotErrorKind::NotJson | SnapshotErrorKind::Truncated => "SF0202",
            SnapshotErrorKind::NewerVersion | SnapshotErrorKind::WrongSchema => "SF0203",
            SnapshotErrorKind::Altered => "SF0204",
            SnapshotErrorKind::TooDeep
            | SnapshotErrorKind::TooLarge
            | SnapshotErrorKind::TooMany => "SF0205",
            SnapshotErrorKind::BadField | SnapshotErrorKind::DuplicateKey => "SF0206",
            SnapshotErrorKind::Extension => "SF0207",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.0.kind {
            SnapshotErrorKind::Altered => "take the snapshot from where it was first written",
            SnapshotErrorKind::BadField => "correct what wrote it",
            SnapshotErrorKind::DuplicateKey => "keep one of the two",
            SnapshotErrorKind::Extension => "make the type read back exactly what it writes",
            SnapshotErrorKind::NewerVersion => {
                "read it with a version of Stageflow at least as new as its writer's"
            }
            SnapshotErrorKind::NotJson => "pass the text as `to_json` gave it",
            SnapshotErrorKind::TooDeep => "flatten it, or keep it as text",
            SnapshotErrorKind::TooLarge => {
                "keep large payloads elsewhere and refer to them, or raise `SnapshotLimits`"
            }
            SnapshotErrorKind::TooMany => "leave some out, or raise `SnapshotLimits`",
            SnapshotErrorKind::Truncated => "store or send the whole text",
            SnapshotErrorKind::WrongSchema => "pass a text that `to_json` wrote",
        }
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, problem, .. } = &*self.0;
        write!(f, "{}: snapshot", self.code())?;
        if !path.is_empty() {
            write!(f, " at `{path}`")?;
        }
        write!(f, ": {problem}; {}", self.help())
    }
}

impl fmt::Debug for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            path,
            problem,
        } = &*self.0;
        f.debug_struct("SnapshotError")
            .field("kind", kind)
            .field("path", path)
            .field("problem", problem)
            .finish()
    }
}

impl Error for SnapshotError {}
