//! A tenant's house: a store of files, a journal, and users who have left something everywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;
use stageflow::context::{
    ContextSnapshot, IdSource, OrgId, RunId, RunIdentity, SealKeys, SystemIds, UserId,
};
use stageflow::events::journal::{Journal, JournalHead};
use stageflow::events::{Entry, EventRecord, Exporter as _, JournalOptions, RunHeader};
use stageflow::tenancy::TenantScope;
use stageflow_store::{
    AuditDraft, AuditTrail, Class, Erasure, Row, Scan, SqliteOptions, SqliteStore, Store, Write,
};

use super::keys;
use crate::LabError;

pub(super) struct Place {
    pub(super) org: OrgId,
    pub(super) store: SqliteStore,
    pub(super) journal: PathBuf,
    pub(super) head: JournalHead,
    folder: PathBuf,
    told: Vec<UserId>,
}

/// The tenant that a run of theirs is for.
pub(super) fn scope(org: OrgId) -> Result<TenantScope, LabError> {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new())).with_org_id(org);
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::by_hand(context, "drill".into(), [].into(), SystemTime::UNIX_EPOCH);
    TenantScope::of_header(&header).map_err(LabError::new)
}

/// Words that are this user's only.
fn canary(user: UserId) -> String {
    format!("canary{}", &user.as_uuid().simple().to_string()[12..])
}

impl Place {
    pub(super) fn open(folder: &Path, org: OrgId) -> Result<Self, LabError> {
        let store = SqliteStore::open(folder.join("store"), SqliteOptions::new());
        Ok(Self {
            org,
            store: store.map_err(LabError::new)?,
            journal: folder.join("journal"),
            head: JournalHead::NONE,
            folder: folder.to_owned(),
            told: Vec::new(),
        })
    }

    pub(super) fn erasure(&self, store: impl Store, keys: &SealKeys) -> Erasure {
        Erasure::new(store, keys.clone()).journal(&self.journal)
    }

    /// So many rows of every class about each of them, one after the other so that they lie between each other; and a journal.
    pub(super) async fn fill(
        &mut self,
        users: &[UserId],
        each: u64,
        ids: &impl IdSource,
    ) -> Result<(), LabError> {
        self.fill_rows(users, each, ids).await?;
        let options = JournalOptions::new(&self.journal);
        let mut journal = Journal::create(options).map_err(LabError::new)?;
        for seq in 0..3 * each {
            let user = users[usize::try_from(seq).unwrap_or(0) % users.len()];
            let record = self.record(user, RunId::generate(ids), seq)?;
            let entry = Entry::Record(Arc::new(record));
            journal.export(&[entry]).await.map_err(LabError::new)?;
            self.told.push(user);
        }
        self.head = journal.head();
        Ok(())
    }

    /// So many rows of every class about each of these users, who lie between each other.
    pub(super) async fn fill_rows(
        &self,
        users: &[UserId],
        each: u64,
        ids: &impl IdSource,
    ) -> Result<(), LabError> {
        let shelf = self.store.open(&scope(self.org)?).await;
        let shelf = shelf.map_err(LabError::new)?;
        let all = (0..each).flat_map(|n| users.iter().map(move |user| (n, *user)));
        for class in Class::ALL {
            if class == Class::Audit {
                continue;
            }
            let rows = all.clone().map(|(n, user)| self.row(class, user, n, ids));
            let insert = |row| Write::Insert { class, row };
            let writes = rows.map(|row| row.map(insert)).collect::<Result<_, _>>()?;
            shelf.commit(writes).await.map_err(LabError::new)?;
        }
        let draft = |(n, user): (u64, UserId)| {
            let draft = AuditDraft::new("auth.login").about(user).by(canary(user));
            draft.details(json!({ "n": n }))
        };
        let trail = AuditTrail::new(shelf, keys());
        let appended = trail.append(all.map(draft).collect()).await;
        appended.map(drop).map_err(LabError::new)
    }

    fn row(
        &self,
        class: Class,
        user: UserId,
        seq: u64,
        ids: &impl IdSource,
    ) -> Result<Row, LabError> {
        let run = RunId::generate(ids);
        let said = canary(user);
        let body = match class {
            Class::Events => serde_json::to_string(&self.record(user, run, seq)?),
            Class::Runs => Ok(json!({ "run": run, "pipeline": said }).to_string()),
            _ => Ok(json!({ "said": said }).to_string()),
        };
        let body = body.map_err(LabError::new)?;
        Ok(Row::new(format!("{run}/{seq}"), 1, body).about(user))
    }

    fn record(&self, user: UserId, run: RunId, seq: u64) -> Result<EventRecord, LabError> {
        let value = json!({
            "version": 2, "type": format!("docs.{}", canary(user)), "seq": seq, "time_us": 1, "elapsed_ns": seq,
            "pipeline": "drill", "run_id": run, "correlation_id": "cor", "trace_id": "trace", "span_id": "span",
            "user_id": user, "org_id": self.org, "data": { "said": canary(user) },
        });
        serde_json::from_value(value).map_err(LabError::new)
    }

    pub(super) fn journal_records(&self, user: UserId) -> u64 {
        self.told.iter().filter(|told| **told == user).count() as u64
    }

    /// How often each of them is found in any row or any byte of a file.
    pub(super) async fn found(&self, users: &[UserId]) -> Result<Vec<u64>, LabError> {
        let mut found = self.in_rows(users).await?;
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).map_err(LabError::new)? {
                let path = entry.map_err(LabError::new)?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(path).map_err(LabError::new)?;
                for (user, found) in users.iter().zip(&mut found) {
                    *found += count(&bytes, *user);
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn in_rows(&self, users: &[UserId]) -> Result<Vec<u64>, LabError> {
        let shelf = self
            .store
            .open(&scope(self.org)?)
            .await
            .map_err(LabError::new)?;
        let mut found = vec![0; users.len()];
        for class in Class::ALL {
            let rows = shelf.scan(Scan::of(class).most(Scan::MOST)).await;
            for row in rows.map_err(LabError::new)? {
                for (user, found) in users.iter().zip(&mut found) {
                    *found += count(row.body.as_bytes(), *user) + count(row.key.as_bytes(), *user);
                    *found += u64::from(row.user == Some(*user));
                }
            }
        }
        Ok(found)
    }
}

/// How often the words of a user, or their id, are in these bytes.
fn count(bytes: &[u8], user: UserId) -> u64 {
    let words = [canary(user), user.to_string()];
    let text = String::from_utf8_lossy(bytes);
    let in_text = |word: &String| text.matches(word.as_str()).count() as u64;
    words.iter().map(in_text).sum()
}
