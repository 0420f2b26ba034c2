//! What is apart from an entry, and can be taken away.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow_context::{IdSource, UserId};

use super::AuditDraft;

/// As it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
    /// Random: whoever has only the hash cannot find out what was here by trying what it could be.
    salt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) details: Value,
}

impl Wire {
    pub(super) fn new(draft: &AuditDraft, ids: &dyn IdSource) -> Self {
        // Two, for each has some 74 random bits.
        let salt = [ids.next_uuid(), ids.next_uuid()].map(|id| id.simple().to_string());
        Self {
            salt: salt.concat(),
            user: draft.user,
            who: draft.who.clone(),
            reason: draft.reason.clone(),
            details: draft.details.clone(),
        }
    }
}
