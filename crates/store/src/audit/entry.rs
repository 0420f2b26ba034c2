//! An entry as it is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow_context::{Tag, UserId};

use super::Decision;

/// One entry of a trail, as it was read. Nobody has checked it: see [`AuditTrail::verify`](super::AuditTrail::verify).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its number, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What happened.
    pub what: String,
    /// What was decided, if something was.
    pub decision: Option<Decision>,
    /// A stable code, such as that of an error.
    pub code: Option<String>,
    /// In which run.
    pub run: Option<String>,
    /// Which event of the run.
    pub seq: Option<u64>,
    /// In which stage.
    pub stage: Option<String>,
    /// The sum of what was there before.
    pub before: Option<String>,
    /// The sum of what is there now.
    pub after: Option<String>,
    /// The link before it; none of the first one.
    pub previous: Option<Tag>,
    /// Its link.
    pub link: Tag,
    /// Who, about whom and why; nothing if that was erased.
    pub detail: Option<AuditDetail>,
}

/// What of an entry goes when the user it is about is erased.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditDetail {
    /// About whom.
    pub user: Option<UserId>,
    /// Who did it, in words.
    pub who: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// All there is to say.
    pub details: Value,
}

/// The part of an entry that is linked, as it is written. The order of the fields is part of the form.
#[derive(Serialize, Deserialize)]
pub(crate) struct Linked {
    pub(crate) n: u64,
    pub(crate) at: u64,
    pub(crate) what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The sum of the text of the detail.
    pub(crate) detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prev: Option<String>,
}
