//! What a trail has already.

use std::collections::HashSet;

use super::entry::Linked;
use super::verifier::kind_of;
use super::{
    AuditAnchor, AuditDraft, AuditError, AuditErrorKind as Kind, AuditTrail, Line, entry_key,
    source_key,
};

impl AuditTrail {
    /// These without what the trail has. What comes from where something else came from before stays, under a source of its own.
    pub(super) async fn unknown(
        &self,
        drafts: &[AuditDraft],
    ) -> Result<Vec<AuditDraft>, AuditError> {
        let mut taken = HashSet::new();
        let mut unknown = Vec::with_capacity(drafts.len());
        for draft in drafts {
            unknown.extend(self.if_unknown(draft.clone(), &mut taken).await?);
        }
        Ok(unknown)
    }

    /// The draft with a source that is free in the trail, unless the trail has it.
    async fn if_unknown(
        &self,
        mut draft: AuditDraft,
        taken: &mut HashSet<String>,
    ) -> Result<Option<AuditDraft>, AuditError> {
        let Some(mut source) = draft.source.take().map(|source| source.first()) else {
            return Ok(Some(draft));
        };
        loop {
            let text = source.text();
            if !taken.contains(&text) {
                match self.told(&text).await? {
                    Some((linked, line)) if line.tells(&linked, &draft) => return Ok(None),
                    Some(_) => {}
                    None => {
                        taken.insert(text);
                        draft.source = Some(source);
                        return Ok(Some(draft));
                    }
                }
            }
            match source.next() {
                Some(next) => source = next,
                None => return Ok(None),
            }
        }
    }

    /// The entry that came from there, if there is one. What leads there has no link of its own: it is believed if the entry
    /// says the same.
    pub(super) async fn told(&self, source: &str) -> Result<Option<(Linked, Line)>, AuditError> {
        let wrong = |kind, number| AuditError::new(kind, number, AuditAnchor::NONE);
        let mut number = 0;
        for _ in 0..2 {
            let Some(row) = self.row(&source_key(source)).await? else {
                return Ok(None);
            };
            number = row.body.parse().unwrap_or(0);
            // Or both were cut off between these two.
            let Some(row) = self.row(&entry_key(number)).await? else {
                continue;
            };
            let line = Line::parse(&row.body).ok_or_else(|| wrong(Kind::Altered, number))?;
            let checked = line.check(self.org(), &self.keys);
            let (linked, _) = checked.map_err(|why| wrong(kind_of(why), number))?;
            return match linked.n == number && linked.source.as_deref() == Some(source) {
                true => Ok(Some((linked, line))),
                false => Err(wrong(Kind::Source, number)),
            };
        }
        Err(wrong(Kind::Source, number))
    }
}
