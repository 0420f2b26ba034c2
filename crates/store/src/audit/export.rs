//! A trail as lines, for whoever looks at it elsewhere.

use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use stageflow_context::{OrgId, SealKeys};

use super::mark::Mark;
use super::pages::Pages;
use super::trail::text_of;
use super::verifier::Verifier;
use super::{
    AuditAnchor, AuditError, AuditErrorKind as Kind, AuditTrail, AuditVerified, Line, Marks,
};

const VERSION: u32 = 1;

/// The first line and the last one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Frame {
    Audit {
        version: u32,
        org: OrgId,
        start: Mark,
    },
    End {
        head: Mark,
    },
}

/// How far an export has come.
enum Step {
    First,
    Entries(Pages, AuditAnchor),
    Done,
}

impl AuditTrail {
    /// The whole trail as JSON, line by line without the line breaks: a first line that says whose it is, one line an entry, and
    /// a last line that says that nothing is missing. What is appended meanwhile is left out. See [`verify_jsonl`].
    ///
    /// # Errors
    ///
    /// An item is an [`AuditError`] if the database does not answer; the stream ends with it. Entries are not checked.
    pub fn export(&self) -> impl Stream<Item = Result<String, AuditError>> + Send + '_ {
        try_unfold(Step::First, |step| self.next_line(step))
    }

    async fn next_line(&self, step: Step) -> Result<Option<(String, Step)>, AuditError> {
        let (org, keys) = (self.org(), &self.keys);
        match step {
            Step::First => {
                let (head, start) = (self.true_head().await?, self.start().await?);
                let first = Frame::Audit {
                    version: VERSION,
                    org,
                    start: Marks::Start.write(org, keys, &start),
                };
                let pages = Pages::of_entries(&self.shelf);
                Ok(Some((text_of(&first)?, Step::Entries(pages, head))))
            }
            Step::Entries(mut pages, head) => {
                let row = pages.next().await?;
                let number = |row: &crate::Row| Some(Line::parse(&row.body)?.linked()?.n);
                match row {
                    Some(row) if number(&row).is_none_or(|number| number <= head.number) => {
                        Ok(Some((row.body, Step::Entries(pages, head))))
                    }
                    _ => {
                        let head = Marks::Head.write(org, keys, &head);
                        Ok(Some((text_of(&Frame::End { head })?, Step::Done)))
                    }
                }
            }
            Step::Done => Ok(None),
        }
    }
}

/// Looks through what [`AuditTrail::export`] gave, without the database: whether it is the whole trail of this org as it was
/// written, and has come at least as far as `anchor`, if one is given.
///
/// # Errors
///
/// [`AuditError`] with the first entry that is not as it was written.
pub fn verify_jsonl<L: AsRef<str>>(
    lines: impl IntoIterator<Item = L>,
    org: OrgId,
    keys: &SealKeys,
    anchor: Option<&AuditAnchor>,
) -> Result<AuditVerified, AuditError> {
    let unreadable = || AuditError::new(Kind::Unreadable, 0, AuditAnchor::NONE);
    let head = || AuditError::new(Kind::Head, 0, AuditAnchor::NONE);
    let mut lines = lines.into_iter();
    let first = lines.next().ok_or_else(unreadable)?;
    let Ok(Frame::Audit {
        version: VERSION,
        start,
        ..
    }) = serde_json::from_str(first.as_ref())
    else {
        return Err(unreadable());
    };
    let start = Marks::Start.read(org, keys, &start).ok_or_else(head)?;
    let mut verifier = Verifier::new(org, keys, start, anchor.copied())?;
    for line in lines.by_ref() {
        let line = line.as_ref();
        if let Ok(Frame::End { head: end }) = serde_json::from_str(line) {
            let end = Marks::Head.read(org, keys, &end).ok_or_else(head)?;
            let verified = verifier.end(end)?;
            return match lines.next() {
                None => Ok(verified),
                Some(_) => Err(unreadable()),
            };
        }
        verifier.entry(line, None)?;
    }
    Err(verifier.error(Kind::Unreadable, 0))
}
