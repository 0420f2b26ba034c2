//! What sealed bytes are, and whose.

use sha2::{Digest as _, Sha256};

use crate::{OrgId, RunId};

/// How long a kind may be as it is written; of longer ones, so much of the start is, and the sum of all.
const LONGEST: usize = 64;
const START: usize = 24;

/// What sealed bytes are, whose, and in which version of their form. All of it is under the seal: bytes that were sealed as
/// one thing are not opened as another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SealedAs {
    pub(super) kind: String,
    pub(super) version: u32,
    pub(super) org: Option<OrgId>,
    pub(super) run: Option<RunId>,
}

impl SealedAs {
    /// A `kind` of bytes, in this version of their form, that belong to no org and no run. Best is a word in lower case. Any text
    /// is a kind of its own all the same, whatever is in it and however long it is: see [`kind`](Self::kind).
    #[must_use]
    pub fn new(kind: &str, version: u32) -> Self {
        Self {
            kind: written(kind),
            version,
            org: None,
            run: None,
        }
    }

    /// The same, of this org.
    #[must_use]
    pub fn of_org(self, org: impl Into<Option<OrgId>>) -> Self {
        let org = org.into();
        Self { org, ..self }
    }

    /// The same, of this run.
    #[must_use]
    pub fn of_run(self, run: impl Into<Option<RunId>>) -> Self {
        let run = run.into();
        Self { run, ..self }
    }

    /// What kind of bytes, as it is written on the seal: of what is no lower case letter of English, no digit and none of `_-.`,
    /// each byte is `%` and two hex digits, and of a long kind the end is a sum of all of it.
    ///
    /// ```
    /// use stageflow_context::SealedAs;
    ///
    /// assert_eq!(SealedAs::new("job-notes.v2", 1).kind(), "job-notes.v2");
    /// assert_eq!(SealedAs::new("My notes", 1).kind(), "%4dy%20notes");
    /// ```
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// In which version of their form.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Whose, if they are an org's.
    #[must_use]
    pub const fn org(&self) -> Option<OrgId> {
        self.org
    }

    /// Which run's, if they are a run's.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        self.run
    }
}

/// No two kinds are written the same way, and each is one word of at most [`LONGEST`] bytes and a sum.
fn written(kind: &str) -> String {
    let mut written = String::with_capacity(kind.len());
    for byte in kind.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => written.push(char::from(byte)),
            _ => {
                written.push('%');
                written.push_str(&hex::encode([byte]));
            }
        }
    }
    match written.len() {
        // A word must have something in it.
        0 => "%".to_owned(),
        1..=LONGEST => written,
        _ => {
            written.truncate(START);
            format!("{written}%%{}", hex::encode(Sha256::digest(kind)))
        }
    }
}
