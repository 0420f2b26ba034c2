//! Looking through a trail, entry by entry.

use stageflow_context::{OrgId, SealKeys};

use super::entry::Linked;
use super::line::Broken;
use super::{AuditAnchor, AuditError, AuditErrorKind as Kind, Line, entry_key};
use crate::Row;

/// What was found to be as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditVerified {
    /// How many entries.
    pub entries: u64,
    /// Of how many of them the details were erased.
    pub erased: u64,
    /// What the first of them goes on from: [`AuditAnchor::NONE`] if none was ever cut off.
    pub start: AuditAnchor,
    /// The last of them.
    pub head: AuditAnchor,
}

/// Is given one line after the other, and says which one is not as it was written.
pub(crate) struct Verifier<'a> {
    org: OrgId,
    keys: &'a SealKeys,
    goal: Option<AuditAnchor>,
    verified: AuditVerified,
}

impl<'a> Verifier<'a> {
    /// For a trail that starts behind `start`, and must have come to `goal`.
    pub(crate) fn new(
        org: OrgId,
        keys: &'a SealKeys,
        start: AuditAnchor,
        goal: Option<AuditAnchor>,
    ) -> Result<Self, AuditError> {
        let verified = AuditVerified {
            entries: 0,
            erased: 0,
            start,
            head: start,
        };
        let verifier = Self {
            org,
            keys,
            goal,
            verified,
        };
        if goal.is_some_and(|goal| goal.number < start.number) {
            return Err(verifier.error(Kind::Cut, start.number + 1));
        }
        verifier.check_goal(start)?;
        Ok(verifier)
    }

    /// The next row.
    pub(crate) fn row(&mut self, row: &Row) -> Result<Linked, AuditError> {
        self.next(&row.body, Some(row))
    }

    /// The next line, which comes from no row.
    pub(super) fn line(&mut self, text: &str) -> Result<Linked, AuditError> {
        self.next(text, None)
    }

    fn next(&mut self, text: &str, row: Option<&Row>) -> Result<Linked, AuditError> {
        let head = self.verified.head;
        let next = head.number + 1;
        let line = Line::parse(text).ok_or_else(|| self.error(Kind::Altered, next))?;
        let checked = line.check(self.org, self.keys);
        let (linked, link) = checked.map_err(|broken| self.error(kind_of(broken), next))?;
        let is_here = row.is_none_or(|row| row.key == entry_key(linked.n));
        if linked.n != next || !is_here {
            let is_missing = is_here && linked.n > next;
            let kind = if is_missing {
                Kind::Missing
            } else {
                Kind::Reordered
            };
            return Err(self.error(kind, next));
        }
        if linked.prev != head.link.map(|link| link.to_string()) {
            return Err(self.error(Kind::Unlinked, next));
        }
        if row.is_some_and(|row| !line.fits(&linked, row)) {
            return Err(self.error(Kind::Column, next));
        }
        let anchor = AuditAnchor::new(next, link);
        self.check_goal(anchor)?;
        self.verified.entries += 1;
        self.verified.erased += u64::from(line.is_erased());
        self.verified.head = anchor;
        Ok(linked)
    }

    /// The last entry that holds.
    pub(crate) fn head(&self) -> AuditAnchor {
        self.verified.head
    }

    /// Whether it has come so far.
    pub(super) fn is_at(&self, head: AuditAnchor) -> bool {
        self.verified.head.number >= head.number
    }

    /// There is no more, and `head` says that this was the last one.
    pub(super) fn end(self, head: AuditAnchor) -> Result<AuditVerified, AuditError> {
        let found = self.verified.head;
        if found.number < head.number {
            return Err(self.error(Kind::Missing, found.number + 1));
        }
        if found != head {
            return Err(self.error(Kind::Head, found.number));
        }
        match self.goal {
            Some(goal) if goal.number > found.number => {
                Err(self.error(Kind::Shortened, found.number + 1))
            }
            _ => Ok(self.verified),
        }
    }

    fn check_goal(&self, anchor: AuditAnchor) -> Result<(), AuditError> {
        match self.goal {
            Some(goal) if goal.number == anchor.number && goal != anchor => {
                Err(self.error(Kind::Forked, anchor.number))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn error(&self, kind: Kind, number: u64) -> AuditError {
        AuditError::new(kind, number, self.verified.head)
    }
}

pub(crate) fn kind_of(broken: Broken) -> Kind {
    match broken {
        Broken::Altered => Kind::Altered,
        Broken::Detail => Kind::Detail,
        Broken::NoDetail => Kind::NoDetail,
        Broken::UnknownKey => Kind::UnknownKey,
    }
}
