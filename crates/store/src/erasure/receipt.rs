//! What shows later that a user was erased.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stageflow_context::{OrgId, SealKeys, Tag, UserId};

use super::compact::Compacted;
use super::progress::Progress;
use crate::audit::{source_key, sum};
use crate::{AuditError, AuditTrail, Class, StoreError, StoreErrorKind};

const USER: &str = "erasure.user";
const RECEIPT: &str = "erasure.receipt";
const VERSION: u32 = 1;

/// What shows later that a user was erased: from which tenant, when, and how many rows and records of each kind. It does not
/// name the user: only who has the keys and the user's id can tell that it is theirs. It is signed with a keyed hash, and the
/// audit trail holds its sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureReceipt {
    statement: String,
    said: Statement,
    tag: Tag,
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    version: u32,
    id: String,
    org: OrgId,
    user: String,
    began: u64,
    ended: u64,
    rows: BTreeMap<String, u64>,
    journal_records: u64,
    in_memory: u64,
    compacted: Compacted,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    erasure: String,
    tag: String,
}

/// What stands for a user where they must not be named, under each of the keys: the first one is for what is written now.
pub(super) fn digests_of(org: OrgId, user: UserId, keys: &SealKeys) -> Vec<String> {
    let parts = [org.to_string(), user.to_string()];
    let tags = keys.tags(USER, &parts.each_ref().map(|part| part.as_bytes()));
    tags.iter().map(ToString::to_string).collect()
}

impl Statement {
    pub(super) fn new(org: OrgId, progress: &Progress, compacted: Compacted, now: u64) -> Self {
        Self {
            version: VERSION,
            id: progress.kept.id.clone(),
            org,
            user: progress.user.clone(),
            began: progress.kept.began,
            ended: now.max(progress.kept.began),
            rows: progress.kept.rows.clone(),
            journal_records: progress.kept.journal_records.unwrap_or(0),
            in_memory: progress.kept.in_memory,
            compacted,
        }
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    pub(super) fn counts(&self) -> Value {
        json!({
            "rows": self.rows, "journal_records": self.journal_records, "in_memory": self.in_memory,
            "compacted": self.compacted,
        })
    }
}

impl ErasureReceipt {
    pub(super) fn sign(statement: &Statement, keys: &SealKeys) -> Result<Self, StoreError> {
        let text = serde_json::to_string(statement).map_err(|error| {
            StoreError::new(StoreErrorKind::Invalid, "writing a receipt").because(error)
        })?;
        Ok(Self {
            tag: keys.tag(RECEIPT, &[text.as_bytes()]),
            said: statement.clone(),
            statement: text,
        })
    }

    /// From which tenant.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.said.org
    }

    /// When it was begun, in milliseconds since 1970.
    #[must_use]
    pub fn began(&self) -> u64 {
        self.said.began
    }

    /// When it was done, in milliseconds since 1970.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.said.ended
    }

    /// How many rows of this class were erased.
    #[must_use]
    pub fn rows(&self, class: Class) -> u64 {
        self.said.rows.get(class.as_str()).copied().unwrap_or(0)
    }

    /// How many records of journals were erased.
    #[must_use]
    pub fn journal_records(&self) -> u64 {
        self.said.journal_records
    }

    /// How many entries were let go of by what [`Erasure::memory`](super::Erasure::memory) was told of.
    #[must_use]
    pub fn in_memory(&self) -> u64 {
        self.said.in_memory
    }

    /// Whether the tables of the whole database were written anew afterwards: see
    /// [`Erasure::compacting`](super::Erasure::compacting).
    #[must_use]
    pub fn compacted(&self) -> Compacted {
        self.said.compacted
    }

    /// As text, to be kept and read again with [`FromStr`].
    #[must_use]
    pub fn to_json(&self) -> String {
        json!({ "erasure": self.statement, "tag": self.tag.to_string() }).to_string()
    }

    pub(super) fn statement(&self) -> &str {
        &self.statement
    }

    /// Of its entry in the trail: one for each erasure, however often its end is tried.
    pub(super) fn source(&self) -> String {
        format!("erasure/{}", self.said.id)
    }

    /// Under which it is kept.
    pub(super) fn key(&self) -> String {
        format!("erased/{}/{}", self.said.user, self.said.id)
    }

    /// Whether it is one of ours.
    pub(super) fn is_signed(&self, keys: &SealKeys) -> bool {
        keys.check(RECEIPT, &[self.statement.as_bytes()], &self.tag) == Some(true)
    }

    /// Whether it is one of ours, for this user of this tenant.
    pub(super) fn check_for(
        &self,
        org: OrgId,
        user: UserId,
        keys: &SealKeys,
    ) -> Result<(), ReceiptError> {
        if !self.is_signed(keys) {
            return Err(ReceiptErrorKind::Altered.into());
        }
        if self.said.org != org {
            return Err(ReceiptErrorKind::OtherOrg.into());
        }
        let parts = [org.to_string(), user.to_string()];
        let digest: Result<Tag, _> = self.said.user.parse();
        let is_theirs = digest.ok().and_then(|digest| {
            keys.check(USER, &parts.each_ref().map(|part| part.as_bytes()), &digest)
        });
        match is_theirs {
            Some(true) => Ok(()),
            _ => Err(ReceiptErrorKind::OtherUser.into()),
        }
    }

    /// Whether the trail holds, and has it.
    pub(super) async fn check_in(&self, trail: &AuditTrail) -> Result<(), ReceiptError> {
        let verified = trail.verify().await?;
        let missing = || ReceiptError::from(ReceiptErrorKind::NotInTrail);
        let row = trail
            .row(&source_key(&self.source()))
            .await?
            .ok_or_else(missing)?;
        let number: u64 = row.body.parse().map_err(|_| missing())?;
        if number <= verified.start.number() {
            return Err(missing());
        }
        let entry = trail.entry(number).await?.ok_or_else(missing)?;
        match entry.after == Some(sum(self.statement.as_bytes())) {
            true => Ok(()),
            false => Err(missing()),
        }
    }
}

impl FromStr for ErasureReceipt {
    type Err = ReceiptError;

    /// What [`ErasureReceipt::to_json`] gave. Nobody has checked it: see [`Erasure::verify`](super::Erasure::verify).
    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        let unreadable = || ReceiptError::from(ReceiptErrorKind::Unreadable);
        let signed: Signed = serde_json::from_str(text).map_err(|_| unreadable())?;
        let said: Statement = serde_json::from_str(&signed.erasure).map_err(|_| unreadable())?;
        let tag = signed.tag.parse().map_err(|_| unreadable())?;
        match said.version {
            VERSION => Ok(Self {
                statement: signed.erasure,
                said,
                tag,
            }),
            _ => Err(unreadable()),
        }
    }
}

/// A receipt that does not hold.
#[derive(Clone, Debug)]
pub struct ReceiptError {
    kind: ReceiptErrorKind,
    left: Option<&'static str>,
    source: Option<Box<AuditError>>,
}

/// Why a receipt does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceiptErrorKind {
    /// It is not as it was signed, or was signed with a key that is not there.
    Altered,
    /// Something of the user is left.
    Left,
    /// The audit trail does not have it, or no longer.
    NotInTrail,
    /// It is another tenant's.
    OtherOrg,
    /// It is another user's.
    OtherUser,
    /// The audit trail does not hold, or cannot be read.
    Trail,
    /// It is no receipt.
    Unreadable,
}

impl ReceiptError {
    pub(super) fn left(place: &'static str) -> Self {
        Self {
            left: Some(place),
            ..Self::from(ReceiptErrorKind::Left)
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> ReceiptErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.source.as_deref().map_or("SF0732", AuditError::code)
    }
}

impl From<ReceiptErrorKind> for ReceiptError {
    fn from(kind: ReceiptErrorKind) -> Self {
        Self {
            kind,
            left: None,
            source: None,
        }
    }
}

impl From<AuditError> for ReceiptError {
    fn from(source: AuditError) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::from(ReceiptErrorKind::Trail)
        }
    }
}

impl From<StoreError> for ReceiptError {
    fn from(source: StoreError) -> Self {
        AuditError::from(source).into()
    }
}

impl fmt::Display for ReceiptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            return fmt::Display::fmt(source, f);
        }
        write!(
            f,
            "{}: the receipt of an erasure does not hold: ",
            self.code()
        )?;
        match self.kind {
            ReceiptErrorKind::Altered => f.write_str(
                "it is not as it was signed; take it from where it was first written, and open it with the keys of then",
            ),
            ReceiptErrorKind::Left => write!(
                f,
                "something of the user is left in `{}`; find out what brought it back, and erase them again",
                self.left.unwrap_or_default()
            ),
            ReceiptErrorKind::NotInTrail => f.write_str(
                "the audit trail does not have it; look whether the trail was cut off by retention since",
            ),
            ReceiptErrorKind::OtherOrg => {
                f.write_str("it is another tenant's; ask with the scope of that tenant")
            }
            ReceiptErrorKind::OtherUser => {
                f.write_str("it is another user's; look for the one of this user")
            }
            ReceiptErrorKind::Trail | ReceiptErrorKind::Unreadable => {
                f.write_str("it is no receipt; pass the text that `ErasureReceipt::to_json` gave")
            }
        }
    }
}

impl Error for ReceiptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
