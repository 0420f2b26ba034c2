//! A tenant's house: a store, a journal if there are files, and users who have left something everywhere.

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
    AuditDraft, AuditTrail, Class, Erasure, MemoryStore, Row, Scan, Shelf, SqliteOptions,
    SqliteStore, Store, Write,
};

use super::keys;
use crate::LabError;

pub(super) struct Place {
    pub(super) org: OrgId,
    pub(super) store: Arc<dyn Store>,
    pub(super) journal: PathBuf,
    pub(super) head: JournalHead,
    files: Option<(PathBuf, SqliteStore)>,
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
pub(super) fn canary(user: UserId) -> String {
    format!("canary{}", &user.as_uuid().simple().to_string()[12..])
}

impl Place {
    /// In files, with a journal beside them.
    pub(super) fn in_files(folder: &Path, org: OrgId) -> Result<Self, LabError> {
        let store = SqliteStore::open(folder.join("store"), SqliteOptions::new());
        let store = store.map_err(LabError::new)?;
        Ok(Self {
            org,
            store: Arc::new(store.clone()),
            journal: folder.join("journal"),
            head: JournalHead::NONE,
            files: Some((folder.to_owned(), store)),
            told: Vec::new(),
        })
    }

    /// In memory.
    pub(super) fn in_memory(org: OrgId) -> Self {
        Self {
            org,
            store: Arc::new(MemoryStore::new()),
            journal: PathBuf::new(),
            head: JournalHead::NONE,
            files: None,
            told: Vec::new(),
        }
    }

    pub(super) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    pub(super) async fn close(&self) {
        if let Some((_, store)) = &self.files {
            store.close().await;
        }
    }

    pub(super) fn erasure(&self, store: impl Store, keys: &SealKeys) -> Erasure {
        let erasure = Erasure::new(store, keys.clone());
        match self.files {
            Some(_) => erasure.journal(&self.journal),
            None => erasure,
        }
    }

    pub(super) async fn shelf(&self) -> Result<Arc<dyn Shelf>, LabError> {
        let shelf = self.store.open(&scope(self.org)?).await;
        shelf.map_err(LabError::new)
    }

    /// So many rows of every class about each of them, one after the other so that they lie between each other; and a journal.
    pub(super) async fn fill(
        &mut self,
        users: &[UserId],
        each: u64,
        ids: &impl IdSource,
    ) -> Result<(), LabError> {
        self.fill_rows(users, each, ids).await?;
        if self.files.is_none() {
            return Ok(());
        }
        let options = JournalOptions::new(&self.journal);
        let mut journal = Journal::create(options).map_err(LabError::new)?;
        for seq in 0..3 * each.min(30) {
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
    async fn fill_rows(
        &self,
        users: &[UserId],
        each: u64,
        ids: &impl IdSource,
    ) -> Result<(), LabError> {
        let shelf = self.shelf().await?;
        let all = (0..each).flat_map(|n| users.iter().map(move |user| (n, *user)));
        for class in Class::ALL {
            if class == Class::Audit {
                continue;
            }
            let rows = all.clone().map(|(n, user)| self.row(class, user, n, ids));
            let insert = |row| Write::Insert { class, row };
            let writes = rows.map(|row| row.map(insert));
            let writes = writes.collect::<Result<Vec<_>, _>>()?;
            for writes in writes.chunks(Write::MOST) {
                let written = shelf.commit(writes.to_vec()).await;
                written.map_err(LabError::new)?;
            }
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
        let folder = self.files.as_ref().map(|(folder, _)| folder.clone());
        let mut folders: Vec<PathBuf> = folder.into_iter().collect();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).map_err(LabError::new)? {
                let path = entry.map_err(LabError::new)?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(path).map_err(LabError::new)?;
                count_all(&bytes, users, &mut found);
            }
        }
        Ok(found)
    }

    pub(super) async fn in_rows(&self, users: &[UserId]) -> Result<Vec<u64>, LabError> {
        let shelf = self.shelf().await?;
        let mut found = vec![0; users.len()];
        for class in Class::ALL {
            let mut scan = Scan::of(class).most(Scan::MOST);
            loop {
                let rows = shelf.scan(scan.clone()).await.map_err(LabError::new)?;
                let Some(last) = rows.last() else { break };
                scan = scan.after(last.key.clone());
                let mut all = String::new();
                for row in &rows {
                    all.extend([&*row.key, " ", &*row.body, "\n"]);
                    for (user, found) in users.iter().zip(&mut found) {
                        *found += u64::from(row.user == Some(*user));
                    }
                }
                count_all(all.as_bytes(), users, &mut found);
            }
        }
        Ok(found)
    }
}

/// How often the words of each, or their ids, are in these bytes; answers are written as hex digits.
fn count_all(bytes: &[u8], users: &[UserId], found: &mut [u64]) {
    let text = String::from_utf8_lossy(bytes);
    for (user, found) in users.iter().zip(found) {
        let words = canary(*user);
        let hex: String = words.bytes().map(|byte| format!("{byte:02x}")).collect();
        let in_text = |word: &String| text.matches(word.as_str()).count() as u64;
        *found += [words, hex, user.to_string()]
            .iter()
            .map(in_text)
            .sum::<u64>();
    }
}
