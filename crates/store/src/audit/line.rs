//! An entry as it is kept: one line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use stageflow_context::{IdSource, OrgId, SealKeys, Tag, UserId};

use super::detail::Wire;
use super::draft::sum;
use super::entry::Linked;
use super::source::Source;
use super::{AuditAnchor, AuditDetail, AuditDraft, AuditEntry};
use crate::{Row, StoreError, StoreErrorKind};

const ENTRY: &str = "audit.entry";
const ERASED: &str = "audit.erased";

/// One line. What is linked and what is apart keep their text as it was written: hashes are of texts.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    entry: Box<RawValue>,
    link: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Box<RawValue>>,
    /// The mark in the place of the detail, if that was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<String>,
}

/// Why a line does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Altered,
    Detail,
    NoDetail,
    UnknownKey,
}

impl Line {
    /// The entry of a draft that comes after `head`, written down; and its link.
    pub(super) fn write(
        draft: &AuditDraft,
        (org, at): (OrgId, u64),
        head: AuditAnchor,
        (keys, ids): (&SealKeys, &dyn IdSource),
    ) -> Result<(Self, AuditAnchor), StoreError> {
        let detail = to_raw_value(&Wire::new(draft, ids)).map_err(unwritten)?;
        let number = head.number + 1;
        let linked = Linked {
            n: number,
            at: draft.at.unwrap_or(at),
            what: draft.what.clone(),
            decision: draft.decision,
            code: draft.code.clone(),
            run: draft.run.clone(),
            seq: draft.seq,
            stage: draft.stage.clone(),
            before: draft.before.clone(),
            after: draft.after.clone(),
            source: draft.source.as_ref().map(Source::text),
            detail: sum(detail.get().as_bytes()),
            prev: head.link.map(|link| link.to_string()),
        };
        let entry = to_raw_value(&linked).map_err(unwritten)?;
        let link = keys.tag(ENTRY, &[org.to_string().as_bytes(), entry.get().as_bytes()]);
        let line = Self {
            entry,
            link: link.to_string(),
            detail: Some(detail),
            erased: None,
        };
        Ok((line, AuditAnchor::new(number, link)))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(unwritten)
    }

    pub(crate) fn linked(&self) -> Option<Linked> {
        serde_json::from_str(self.entry.get()).ok()
    }

    pub(crate) fn is_erased(&self) -> bool {
        self.erased.is_some()
    }

    /// The same without what is about a person, and with the mark that it was taken away by somebody who has the key.
    pub(crate) fn without_detail(self, org: OrgId, keys: &SealKeys) -> Option<Self> {
        let linked = self.linked()?;
        let mark = keys.tag(
            ERASED,
            &erased_parts(org, &linked).each_ref().map(|part| &**part),
        );
        Some(Self {
            detail: None,
            erased: Some(mark.to_string()),
            ..self
        })
    }

    /// Whether the link is that of the entry, and the detail the one it was written with, or erased by somebody who may.
    pub(crate) fn check(&self, org: OrgId, keys: &SealKeys) -> Result<(Linked, Tag), Broken> {
        let link: Tag = self.link.parse().map_err(|_| Broken::Altered)?;
        let entry = self.entry.get().as_bytes();
        match keys.check(ENTRY, &[org.to_string().as_bytes(), entry], &link) {
            Some(true) => {}
            Some(false) => return Err(Broken::Altered),
            None => return Err(Broken::UnknownKey),
        }
        let linked = self.linked().ok_or(Broken::Altered)?;
        match (&self.detail, &self.erased) {
            (Some(detail), None) if sum(detail.get().as_bytes()) == linked.detail => {}
            (None, Some(mark)) => {
                let mark: Tag = mark.parse().map_err(|_| Broken::Detail)?;
                let parts = erased_parts(org, &linked);
                match keys.check(ERASED, &parts.each_ref().map(|part| &**part), &mark) {
                    Some(true) => {}
                    Some(false) => return Err(Broken::Detail),
                    None => return Err(Broken::UnknownKey),
                }
            }
            (None, None) => return Err(Broken::NoDetail),
            _ => return Err(Broken::Detail),
        }
        Ok((linked, link))
    }

    /// Whom it is about, if it says so and was not erased: what the row has to say, too.
    pub(super) fn user(&self) -> Option<UserId> {
        #[derive(Deserialize)]
        struct About {
            #[serde(default)]
            user: Option<UserId>,
        }

        let detail = self.detail.as_ref()?;
        serde_json::from_str::<About>(detail.get()).ok()?.user
    }

    /// Whether the row that it comes from says the same of when, and of whom: rows are looked for, and erased, by that.
    pub(crate) fn fits(&self, linked: &Linked, row: &Row) -> bool {
        row.at == linked.at && row.user == self.user() && row.until.is_none()
    }

    /// Whether it says what the draft says, wherever both come from. Of an entry that was erased, what is left must do: whom it is
    /// about is not told again.
    pub(super) fn tells(&self, linked: &Linked, draft: &AuditDraft) -> bool {
        let happened = AuditDraft {
            decision: linked.decision,
            code: linked.code.clone(),
            run: linked.run.clone(),
            seq: linked.seq,
            stage: linked.stage.clone(),
            before: linked.before.clone(),
            after: linked.after.clone(),
            at: Some(linked.at),
            ..AuditDraft::new(linked.what.clone())
        };
        let Some(detail) = &self.detail else {
            return happened.tells_as_much(draft);
        };
        let Ok(apart) = serde_json::from_str::<Wire>(detail.get()) else {
            return false;
        };
        let told = AuditDraft {
            user: apart.user,
            who: apart.who,
            reason: apart.reason,
            details: apart.details,
            ..happened
        };
        told.tells_the_same(draft)
    }

    /// What it says, whether that holds or not.
    pub(crate) fn read(&self) -> Option<AuditEntry> {
        let linked = self.linked()?;
        let previous = match &linked.prev {
            Some(prev) => Some(prev.parse().ok()?),
            None => None,
        };
        let detail = match &self.detail {
            Some(detail) => Some(serde_json::from_str::<Wire>(detail.get()).ok()?),
            None => None,
        };
        Some(AuditEntry {
            number: linked.n,
            at: linked.at,
            what: linked.what,
            decision: linked.decision,
            code: linked.code,
            run: linked.run,
            seq: linked.seq,
            stage: linked.stage,
            before: linked.before,
            after: linked.after,
            previous,
            link: self.link.parse().ok()?,
            detail: detail.map(|detail| AuditDetail {
                user: detail.user,
                who: detail.who,
                reason: detail.reason,
                details: detail.details,
            }),
        })
    }
}

pub(crate) fn entry_key(number: u64) -> String {
    format!("e/{number:020}")
}

pub(crate) fn source_key(source: &str) -> String {
    format!("s/{source}")
}

fn erased_parts(org: OrgId, linked: &Linked) -> [Vec<u8>; 3] {
    let Linked { n, detail, .. } = linked;
    [org.to_string(), n.to_string(), detail.clone()].map(String::into_bytes)
}

fn unwritten(error: serde_json::Error) -> StoreError {
    StoreError::new(
        StoreErrorKind::Invalid,
        "writing an entry of the audit trail",
    )
    .because(error)
}
