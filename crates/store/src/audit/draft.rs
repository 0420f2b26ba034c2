//! What is to be written into a trail.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use stageflow_context::{RunId, UserId};
use stageflow_events::EventRecord;

use super::source::Source;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// Somebody may.
    Allowed,
    /// Somebody may not.
    Denied,
}

/// Something that must be known afterwards, on its way into a trail.
///
/// What it is, what was decided and in which run stays for as long as the trail does. Who did it, about whom, why and
/// all details are apart: they go when the user they are about is erased.
///
/// ```
/// use serde_json::json;
/// use stageflow_store::{AuditDraft, Decision};
///
/// let draft = AuditDraft::new("tenant.member_added")
///     .decided(Decision::Allowed)
///     .by("admin")
///     .because("asked for in a ticket")
///     .changed(None, Some(b"{\"role\":\"reader\"}"))
///     .details(json!({ "role": "reader" }));
/// # drop(draft);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AuditDraft {
    pub(super) what: String,
    pub(super) decision: Option<Decision>,
    pub(super) code: Option<String>,
    pub(super) run: Option<String>,
    pub(super) seq: Option<u64>,
    pub(super) stage: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) at: Option<u64>,
    pub(super) source: Option<Source>,
    pub(super) user: Option<UserId>,
    pub(super) who: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) details: Value,
}

impl AuditDraft {
    /// `what` happened, such as `tenant.member_added`.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            decision: None,
            code: None,
            run: None,
            seq: None,
            stage: None,
            before: None,
            after: None,
            at: None,
            source: None,
            user: None,
            who: None,
            reason: None,
            details: Value::Null,
        }
    }

    /// What an event of a run says. The same event gives one entry, however often it is appended. A run that was put back, such as
    /// from a sealed snapshot, counts its events from 0 again: what it tells now is another entry.
    #[must_use]
    pub fn of_record(record: &EventRecord) -> Self {
        let data = &record.data;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            decision: decision(record),
            code: text("code").filter(|code| is_code(code)),
            run: Some(record.run_id.clone()),
            seq: Some(record.seq),
            stage: record.stage.clone(),
            at: Some(record.time_us / 1_000),
            source: Some(Source::event(format!(
                "{}.{}.{:x}",
                record.run_id, record.seq, record.time_us
            ))),
            user: record.user_id.as_ref().and_then(|user| user.parse().ok()),
            who: text("subject").or_else(|| text("by")),
            reason: text("reason"),
            details: data.clone(),
            ..Self::new(record.kind.clone())
        }
    }

    /// The same, with what was decided.
    #[must_use]
    pub fn decided(self, decision: Decision) -> Self {
        let decision = Some(decision);
        Self { decision, ..self }
    }

    /// The same, with a stable code, such as that of an error.
    #[must_use]
    pub fn code(self, code: impl Into<String>) -> Self {
        let code = Some(code.into());
        Self { code, ..self }
    }

    /// The same, done in this run.
    #[must_use]
    pub fn in_run(self, run: RunId) -> Self {
        let run = Some(run.to_string());
        Self { run, ..self }
    }

    /// The same, done by whoever this is. It goes when the user is erased.
    #[must_use]
    pub fn by(self, who: impl Into<String>) -> Self {
        let who = Some(who.into());
        Self { who, ..self }
    }

    /// The same, about this user: what is apart goes when they are erased.
    #[must_use]
    pub fn about(self, user: impl Into<Option<UserId>>) -> Self {
        let user = user.into();
        Self { user, ..self }
    }

    /// The same, and why. It goes when the user is erased.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        let reason = Some(reason.into());
        Self { reason, ..self }
    }

    /// The same, with all there is to say. It goes when the user is erased.
    #[must_use]
    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// The same, with what was changed, before and after: their SHA-256 sums are kept, not they. The sum of what has few
    /// possible values, such as a yes or no, can be guessed; leave such things out, or put them into the details.
    #[must_use]
    pub fn changed(self, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        Self {
            before: before.map(sum),
            after: after.map(sum),
            ..self
        }
    }

    /// The same, from this source: of all drafts of one source, a trail takes the first one only. At most 200 bytes. It stays
    /// for as long as the trail does: put nothing of a user into it.
    #[must_use]
    pub fn once(self, source: impl Into<String>) -> Self {
        let source = Some(Source::Once(source.into()));
        Self { source, ..self }
    }
}

impl AuditDraft {
    /// The same with one more detail, beside those that there are.
    pub(crate) fn with_detail(mut self, name: &str, value: Value) -> Self {
        let mut details = match std::mem::take(&mut self.details) {
            Value::Object(details) => details,
            Value::Null => Map::new(),
            other => Map::from_iter([("details".to_owned(), other)]),
        };
        details.insert(name.to_owned(), value);
        self.details = details.into();
        self
    }

    /// Whether both say the same, wherever they come from.
    pub(super) fn tells_the_same(&self, other: &Self) -> bool {
        self.tells_as_much(other)
            && (self.user, &self.who) == (other.user, &other.who)
            && (&self.reason, &self.details) == (&other.reason, &other.details)
    }

    /// The same of what is linked alone.
    pub(super) fn tells_as_much(&self, other: &Self) -> bool {
        (&self.what, self.decision, &self.code) == (&other.what, other.decision, &other.code)
            && (&self.run, self.seq, &self.stage) == (&other.run, other.seq, &other.stage)
            && (&self.before, &self.after, self.at) == (&other.before, &other.after, other.at)
    }
}

pub(crate) fn sum(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn is_code(text: &str) -> bool {
    text.strip_prefix("SF")
        .is_some_and(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What an event says was decided; if it says nothing of it, what its name does.
fn decision(record: &EventRecord) -> Option<Decision> {
    let word = |name: &str| record.data.get(name).and_then(Value::as_str);
    let named = record.kind.rsplit('.').next();
    let words = [word("effect"), word("decision"), word("state"), named];
    words.into_iter().flatten().find_map(|word| match word {
        "allowed" | "approved" | "edited" | "login" | "undecided_let_in" => Some(Decision::Allowed),
        "access_denied" | "denied" | "failure" | "refused" | "rejected" => Some(Decision::Denied),
        _ => None,
    })
}
