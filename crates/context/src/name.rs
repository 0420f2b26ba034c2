//! Names of stages: parsed once, then known to be good.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a stage: an ASCII letter or digit, then letters, digits, `_`, `-` or `.`, at most
/// [`StageName::MAX_LEN`] bytes in all. Several of these joined by `/` are a path, as stages of an embedded pipeline have
/// it: `search/rerank`.
///
/// ```
/// use stageflow_context::StageName;
///
/// let name: StageName = "rerank".parse()?;
/// assert_eq!(name.as_str(), "rerank");
/// assert!("re rank".parse::<StageName>().is_err());
/// # Ok::<(), stageflow_context::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageName(Arc<str>);

impl StageName {
    /// The longest a name may be, in bytes.
    pub const MAX_LEN: usize = 255;

    /// `stage-0`, `stage-1`, ...: for pipelines whose stages need no names of their own.
    #[must_use]
    pub fn nth(n: u32) -> Self {
        Self(Arc::from(format!("stage-{n}")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This name with `prefix/` in front, as stages of an embedded pipeline are called.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the path becomes longer than [`StageName::MAX_LEN`].
    pub fn under(&self, prefix: &Self) -> Result<Self, NameError> {
        format!("{prefix}/{self}").parse()
    }
}

impl FromStr for StageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // One pass over the bytes: pipelines of a hundred thousand names are parsed in one go.
        let mut starts = true;
        let mut good = !text.is_empty() && text.len() <= Self::MAX_LEN;
        for byte in text.bytes() {
            good &= byte.is_ascii_alphanumeric()
                || (!starts && matches!(byte, b'_' | b'-' | b'.' | b'/'));
            starts = byte == b'/';
        }
        if good && !starts {
            Ok(Self(Arc::from(text)))
        } else {
            Err(NameError::new(text))
        }
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')
}

impl Deref for StageName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for StageName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A text that cannot be the name of a stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SF0211: {}", self.sentence())]
pub struct NameError {
    name: String,
    problem: String,
}

impl NameError {
    #[cold]
    fn new(text: &str) -> Self {
        let problem = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > StageName::MAX_LEN {
            format!(
                "it has {} bytes, {} are allowed",
                text.len(),
                StageName::MAX_LEN
            )
        } else if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
            format!("{bad:?} is not allowed in it")
        } else {
            "it (or a part of its path) does not start with a letter or a digit".to_owned()
        };
        Self {
            name: text.chars().take(64).collect(),
            problem,
        }
    }

    /// What is wrong and what to do, without the code: for errors that have a code of their own.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { name, problem } = self;
        format!(
            "{name:?} cannot be the name of a stage: {problem}; \
             use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit"
        )
    }

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0211"
    }

    /// The text that was refused, cut to 64 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
