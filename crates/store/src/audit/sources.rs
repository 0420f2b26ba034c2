//! Whether what leads from sources to entries is as it was written.

use sha2::{Digest as _, Sha256};

use super::entry::Linked;
use super::pages::Pages;
use super::{AuditAnchor, AuditError, AuditErrorKind as Kind, AuditTrail, Line, source_key};

const SOURCE: &str = "audit.source";

/// Sources of entries, less those that rows lead from, as one number that is 0 if they are the same. Each counts for a keyed hash
/// of it, so that nobody without a key can find others that come to the same (an additive multiset hash: Clarke et al.,
/// "Incremental Multiset Hash Functions", ASIACRYPT 2003).
#[derive(Default)]
pub(super) struct Sources(u128);

impl Sources {
    fn add(&mut self, trail: &AuditTrail, source: &str, number: u64) {
        self.0 = self.0.wrapping_add(weight(trail, source, number));
    }

    fn take(&mut self, trail: &AuditTrail, source: &str, number: u64) {
        self.0 = self.0.wrapping_sub(weight(trail, source, number));
    }

    /// One more entry.
    pub(super) fn entry(&mut self, trail: &AuditTrail, linked: &Linked) {
        if let Some(source) = &linked.source {
            self.add(trail, source, linked.n);
        }
    }
}

fn weight(trail: &AuditTrail, source: &str, number: u64) -> u128 {
    let (org, number) = (trail.org().to_string(), number.to_string());
    let parts = [org.as_bytes(), source.as_bytes(), number.as_bytes()];
    let tag = trail.keys.tag(SOURCE, &parts).to_string();
    let sum: [u8; 32] = Sha256::digest(tag).into();
    sum.iter()
        .take(16)
        .fold(0, |all, byte| all << 8 | u128::from(*byte))
}

impl AuditTrail {
    /// Whether each entry up to `head` that came from somewhere has its row, and there are no other ones.
    pub(super) async fn check_sources(
        &self,
        mut entries: Sources,
        head: AuditAnchor,
    ) -> Result<(), AuditError> {
        let mut pages = Pages::of(&self.shelf, "s/");
        let mut last = head.number;
        while let Some(row) = pages.next().await? {
            let number = row.body.parse::<u64>().ok();
            let number = number.filter(|number| number.to_string() == row.body);
            let source = row.key.strip_prefix("s/").unwrap_or_default();
            let Some(number) = number.filter(|_| row.user.is_none()) else {
                return Err(AuditError::new(Kind::Source, 0, head));
            };
            last = last.max(number);
            if number <= head.number {
                entries.take(self, source, number);
            }
        }
        // What was appended meanwhile is behind the head of before, and not behind that of now.
        if last > head.number && last > self.head().await?.number {
            return Err(AuditError::new(Kind::Source, last, head));
        }
        match entries.0 {
            0 => Ok(()),
            _ => self.find_source(head).await,
        }
    }

    /// Something is not as it was written: what.
    async fn find_source(&self, head: AuditAnchor) -> Result<(), AuditError> {
        let mut rows = Pages::of(&self.shelf, "s/");
        while let Some(row) = rows.next().await? {
            self.told(row.key.strip_prefix("s/").unwrap_or_default())
                .await?;
        }
        let mut entries = Pages::of_entries(&self.shelf);
        while let Some(row) = entries.next().await? {
            let linked = Line::parse(&row.body).and_then(|line| line.linked());
            let Some(linked) = linked.filter(|linked| linked.n <= head.number) else {
                continue;
            };
            if let Some(source) = &linked.source
                && self.row(&source_key(source)).await?.is_none()
            {
                return Err(AuditError::new(Kind::Source, linked.n, head));
            }
        }
        Ok(())
    }
}
