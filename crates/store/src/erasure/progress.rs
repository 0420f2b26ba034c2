//! How far an erasure has come, kept beside what it erases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stageflow_context::IdSource;

use crate::{Class, Row, Shelf, StoreError, StoreErrorKind, Write};

const CLASS: Class = Class::Upkeep;

/// How far an erasure has come. What is kept of it does not name the user.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) user: String,
    pub(super) kept: Kept,
    /// Of its row.
    version: u64,
}

/// As it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Of this erasure, and of no other one of the same user.
    pub(super) id: String,
    pub(super) began: u64,
    pub(super) rows: BTreeMap<String, u64>,
    /// How many records there were in journals, once they were counted.
    pub(super) journal_records: Option<u64>,
    /// How many entries there were in memory.
    #[serde(default)]
    pub(super) in_memory: u64,
}

impl Progress {
    /// What is kept of one that was begun.
    pub(super) async fn read(shelf: &dyn Shelf, user: &str) -> Result<Option<Self>, StoreError> {
        let Some(row) = shelf.get(CLASS, &key(user)).await? else {
            return Ok(None);
        };
        let kept = serde_json::from_str(&row.body).map_err(|error| corrupt().because(error))?;
        Ok(Some(Self {
            user: user.to_owned(),
            kept,
            version: row.version,
        }))
    }

    pub(super) async fn read_or_begin(
        shelf: &dyn Shelf,
        user: String,
        (now, ids): (u64, &dyn IdSource),
    ) -> Result<Self, StoreError> {
        const TRIES: u32 = 3;

        for _ in 0..TRIES {
            if let Some(begun) = Self::read(shelf, &user).await? {
                return Ok(begun);
            }
            let kept = Kept {
                id: ids.next_uuid().simple().to_string(),
                began: now,
                rows: BTreeMap::new(),
                journal_records: None,
                in_memory: 0,
            };
            let (class, row) = (CLASS, row(&user, &kept)?);
            if shelf.commit(vec![Write::Insert { class, row }]).await? {
                let version = 0;
                return Ok(Self {
                    user,
                    kept,
                    version,
                });
            }
        }
        Err(busy())
    }

    /// Does these writes and counts so many rows of a class, both or neither: `false` if a condition was not met.
    pub(super) async fn count(
        &mut self,
        shelf: &dyn Shelf,
        class: Class,
        rows: u64,
        writes: Vec<Write>,
    ) -> Result<bool, StoreError> {
        let mut kept = self.kept.clone();
        *kept.rows.entry(class.as_str().to_owned()).or_default() += rows;
        if self.keep(shelf, kept, writes).await? {
            return Ok(true);
        }
        // Somebody else may be at it, and may have come further.
        let row = shelf.get(CLASS, &key(&self.user)).await?.ok_or_else(busy)?;
        self.kept = serde_json::from_str(&row.body).map_err(|error| corrupt().because(error))?;
        self.version = row.version;
        Ok(false)
    }

    pub(super) fn has_counted_journals(&self) -> bool {
        self.kept.journal_records.is_some()
    }

    pub(super) async fn count_journals(
        &mut self,
        shelf: &dyn Shelf,
        records: u64,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept.clone();
        kept.journal_records = Some(records);
        self.keep_alone(shelf, kept).await
    }

    pub(super) async fn count_in_memory(
        &mut self,
        shelf: &dyn Shelf,
        entries: u64,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept.clone();
        kept.in_memory += entries;
        self.keep_alone(shelf, kept).await
    }

    async fn keep_alone(&mut self, shelf: &dyn Shelf, kept: Kept) -> Result<(), StoreError> {
        match self.keep(shelf, kept, Vec::new()).await? {
            true => Ok(()),
            false => Err(busy()),
        }
    }

    /// The changes that end it, if nobody else did.
    pub(super) fn end(&self) -> Vec<Write> {
        let class = CLASS;
        let key = key(&self.user);
        let row = Row::new(key.clone(), self.kept.began, "{}");
        let seen = self.version;
        vec![
            Write::Swap { class, row, seen },
            Write::Delete { class, key },
        ]
    }

    async fn keep(
        &mut self,
        shelf: &dyn Shelf,
        kept: Kept,
        mut writes: Vec<Write>,
    ) -> Result<bool, StoreError> {
        let (class, seen) = (CLASS, self.version);
        let row = row(&self.user, &kept)?;
        writes.push(Write::Swap { class, row, seen });
        let is_done = shelf.commit(writes).await?;
        if is_done {
            self.kept = kept;
            self.version += 1;
        }
        Ok(is_done)
    }
}

fn key(user: &str) -> String {
    format!("erasing/{user}")
}

fn row(user: &str, kept: &Kept) -> Result<Row, StoreError> {
    let body = serde_json::to_string(kept).map_err(|error| corrupt().because(error))?;
    Ok(Row::new(key(user), kept.began, body))
}

fn corrupt() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "reading how far an erasure has come",
    )
}

fn busy() -> StoreError {
    StoreError::new(StoreErrorKind::TooBusy, "erasing a user")
}
