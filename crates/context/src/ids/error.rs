//! What is no id.

use std::error::Error;
use std::fmt;

/// A text or a UUID that is not the id that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    pub(super) kind: IdErrorKind,
    pub(super) expected: Expected,
    pub(super) got: String,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdErrorKind {
    /// What should be hex digits, all 32 or 16 of them, is not.
    BadHex,
    /// It has no prefix.
    MissingPrefix,
    /// All digits are zero, which stands for "no id".
    Nil,
    /// It is longer than any id.
    TooLong,
    /// It has the prefix of something else.
    WrongPrefix,
}

impl IdError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> IdErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0201"
    }

    /// The text that was refused, cut and with control characters escaped.
    #[must_use]
    pub fn got(&self) -> &str {
        &self.got
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, got, .. } = self;
        write!(f, "{}: expected {expected}, got `{got}`: ", self.code())?;
        match self.kind {
            IdErrorKind::BadHex => write!(
                f,
                "its digits are not those of {}; pass the text unchanged",
                expected.article()
            ),
            IdErrorKind::MissingPrefix => {
                f.write_str("it has no prefix; put it in front if you know what this id is of")
            }
            IdErrorKind::Nil => f.write_str("that is the nil id; leave the id out instead"),
            IdErrorKind::TooLong => {
                f.write_str("it is too long to be an id; check which field it came from")
            }
            IdErrorKind::WrongPrefix => match KNOWN.iter().find(|known| got.starts_with(known.0)) {
                Some((_, what)) => write!(
                    f,
                    "that is {}; check which field it came from",
                    with_article(what)
                ),
                None => f.write_str(
                    "it has the prefix of something else; check which field it came from",
                ),
            },
        }
    }
}

impl Error for IdError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) what: &'static str,
    pub(super) form: &'static str,
}

impl Expected {
    fn article(self) -> String {
        with_article(self.what)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.article(), self.form)
    }
}

const KNOWN: [(&str, &str); 8] = [
    ("run_", "run id"),
    ("req_", "request id"),
    ("ses_", "session id"),
    ("apr_", "approval id"),
    ("usr_", "user id"),
    ("org_", "org id"),
    ("int_", "interaction id"),
    ("cor_", "correlation id"),
];

fn with_article(what: &str) -> String {
    let article = if what.starts_with(['a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {what}")
}

/// At most 64 characters of `text`, control characters escaped: what is said about foreign text stays short and printable.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
