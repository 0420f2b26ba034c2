//! A trail as lines, for whoever looks at it elsewhere.

use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use stageflow_context::{OrgId, SealKeys, Tag};

use super::pages::Pages;
use super::trail::text_of;
use super::verifier::Verifier;
use super::{AuditAnchor, AuditError, AuditErrorKind as Kind, AuditTrail, AuditVerified, Line};

const VERSION: u32 = 2;
/// The seal at the end is good for nothing else: no row of the database can stand in for it, nor it for one.
const END: &str = "audit.export";

/// The first line and the last one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Frame {
    Audit {
        version: u32,
        org: OrgId,
        start: String,
    },
    End {
        head: String,
        seal: String,
    },
}

/// From where to where an export goes.
#[derive(Clone, Copy)]
struct Whole {
    start: AuditAnchor,
    head: AuditAnchor,
}

impl Whole {
    fn parts(&self, org: OrgId) -> [String; 3] {
        [
            org.to_string(),
            self.start.to_string(),
            self.head.to_string(),
        ]
    }

    fn seal(&self, org: OrgId, keys: &SealKeys) -> Tag {
        keys.tag(END, &self.parts(org).each_ref().map(|part| part.as_bytes()))
    }

    /// Whether the seal was made for this, by somebody who has the key.
    fn is_sealed(&self, org: OrgId, keys: &SealKeys, seal: &str) -> bool {
        let parts = self.parts(org);
        let check = |seal| keys.check(END, &parts.each_ref().map(|part| part.as_bytes()), &seal);
        seal.parse::<Tag>().ok().and_then(check) == Some(true)
    }
}

/// How far an export has come.
enum Step {
    First,
    Entries(Pages, Whole),
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
                    start: start.to_string(),
                };
                let (pages, whole) = (Pages::of_entries(&self.shelf), Whole { start, head });
                Ok(Some((text_of(&first)?, Step::Entries(pages, whole))))
            }
            Step::Entries(mut pages, whole) => {
                let row = pages.next().await?;
                let number = |row: &crate::Row| Some(Line::parse(&row.body)?.linked()?.n);
                match row {
                    Some(row) if number(&row).is_none_or(|number| number <= whole.head.number) => {
                        Ok(Some((row.body, Step::Entries(pages, whole))))
                    }
                    _ => {
                        let (head, seal) = (whole.head.to_string(), whole.seal(org, keys));
                        let seal = seal.to_string();
                        Ok(Some((text_of(&Frame::End { head, seal })?, Step::Done)))
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
        org: whose,
    }) = serde_json::from_str(first.as_ref())
    else {
        return Err(unreadable());
    };
    if whose != org {
        return Err(head());
    }
    let start: AuditAnchor = start.parse().map_err(|_| unreadable())?;
    let mut verifier = Verifier::new(org, keys, start, anchor.copied())?;
    for line in lines.by_ref() {
        let line = line.as_ref();
        if let Ok(Frame::End { head: end, seal }) = serde_json::from_str(line) {
            let end = end.parse().map_err(|_| unreadable())?;
            if !(Whole { start, head: end }).is_sealed(org, keys, &seal) {
                return Err(head());
            }
            let verified = verifier.end(end)?;
            return match lines.next() {
                None => Ok(verified),
                Some(_) => Err(unreadable()),
            };
        }
        verifier.line(line)?;
    }
    Err(verifier.error(Kind::Unreadable, 0))
}
