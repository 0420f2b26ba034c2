//! What is said about who may do what.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::Value;

use crate::layer_notice::word;
use crate::{StageIndex, Subject};

/// What an [`AuditNotice`] is about: the first word of its name, which no stage can forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditArea {
    /// Who somebody is, and what they may do: `auth.`
    Auth,
    /// Whose something is, and how much of it they may have: `tenant.`
    Tenant,
}

impl AuditArea {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Tenant => "tenant",
        }
    }
}

impl fmt::Display for AuditArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that must be known afterwards: somebody was let in or not, was allowed something or not, reached for what is
/// another tenant's. Its event is in the lane that is never lost for lack of room.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{AuditArea, AuditNotice};
///
/// let notice = AuditNotice::new(AuditArea::Auth, "login", json!({ "method": "bearer" }));
/// assert_eq!(&**notice.name(), "auth.login");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AuditNotice {
    name: Arc<str>,
    payload: Value,
    at: Option<(StageIndex, NonZeroU32)>,
}

impl AuditNotice {
    /// `what` happened, in lower case and with `_` for whatever cannot stand in a word.
    #[must_use]
    pub fn new(area: AuditArea, what: &str, payload: Value) -> Self {
        Self {
            name: format!("{area}.{}", word(what)).into(),
            payload,
            at: None,
        }
    }

    /// The same, with who asked as its `subject`, unless it has one already.
    ///
    /// ```
    /// use serde_json::json;
    /// use stageflow_context::{AuditArea, AuditNotice, Subject};
    ///
    /// let notice = AuditNotice::new(AuditArea::Tenant, "refused", json!({ "why": "suspended" }));
    /// let notice = notice.asked_by(&Subject::new("nightly-import"));
    /// assert_eq!(notice.payload()["subject"], "nightly-import");
    /// ```
    #[must_use]
    pub fn asked_by(mut self, subject: &Subject) -> Self {
        if let Value::Object(payload) = &mut self.payload {
            let subject = || subject.as_str().into();
            payload.entry("subject".to_owned()).or_insert_with(subject);
        }
        self
    }

    /// The same, said about this attempt of a stage.
    #[must_use]
    pub fn of_stage(self, stage: StageIndex, attempt: NonZeroU32) -> Self {
        let at = Some((stage, attempt));
        Self { at, ..self }
    }

    /// What it is called: its area, `.`, and what happened.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The details.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// The stage it is about, if it is about one.
    #[must_use]
    pub fn stage(&self) -> Option<StageIndex> {
        self.at.map(|(stage, _)| stage)
    }

    /// The attempt it is about, if it is about one.
    #[must_use]
    pub fn attempt(&self) -> Option<NonZeroU32> {
        self.at.map(|(_, attempt)| attempt)
    }
}
