//! What sealed bytes are, and whose.

use crate::layer_notice::word;
use crate::{OrgId, RunId};

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
    /// A `kind` of bytes, in this version of their form, that belong to no org and no run. The kind is a word in lower case;
    /// `_` stands for whatever cannot be in one.
    #[must_use]
    pub fn new(kind: &str, version: u32) -> Self {
        Self {
            kind: word(kind),
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

    /// What kind of bytes.
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
