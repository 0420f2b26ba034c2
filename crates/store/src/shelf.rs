//! The port to a database: a few operations on rows of one tenant, all or nothing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::{OrgId, UserId};
use stageflow_tenancy::TenantScope;

use crate::StoreError;

/// A database that keeps rows for tenants. Everything this crate keeps is kept through it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What it keeps for this tenant. Nothing else can be reached through what it gives.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer or cannot be opened.
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError>;
}

/// What a database keeps for one tenant.
///
/// # Cancellation
///
/// Every future may be dropped at any point. A commit that is dropped has happened wholly, or not at all.
#[async_trait]
pub trait Shelf: Send + Sync + fmt::Debug + 'static {
    /// Whose it is.
    fn org(&self) -> OrgId;

    /// Carries out all of these in order, or none: gives `false`, and has done nothing, if the condition of one is not met.
    /// When it gives `true`, it is on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer.
    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError>;

    /// The row under a key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer.
    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError>;

    /// Rows in the order of their keys, by bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer.
    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError>;

    /// Takes away what is past its time, and then what is left of the bytes of everything that was ever deleted or written over:
    /// no file that the database keeps for this tenant has them any more. What the database keeps elsewhere, such as copies
    /// and logs for replication, is up to whoever runs it.
    ///
    /// The default does nothing: it is for shelves from which a row that was deleted is gone at once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be done, or not wholly. It can be done again.
    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a row is: each class is a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// What was done under a key: see [`stageflow_interceptors::idempotency`].
    Answers,
    /// Requests for approval, and what became of them.
    Approvals,
    /// What must be known afterwards, chained.
    Audit,
    /// Documents, and what is remembered of users.
    Documents,
    /// What happened in runs.
    Events,
    /// How runs ended.
    Runs,
    /// How far erasures and retention have come.
    Upkeep,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Answers,
        Self::Approvals,
        Self::Audit,
        Self::Documents,
        Self::Events,
        Self::Runs,
        Self::Upkeep,
    ];

    /// The name of its table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Approvals => "approvals",
            Self::Audit => "audit",
            Self::Documents => "documents",
            Self::Events => "events",
            Self::Runs => "runs",
            Self::Upkeep => "upkeep",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// What it is found by, at most 255 bytes, of which no two rows of a class and an org have the same.
    pub key: String,
    /// Whom it is about, if it is about somebody: what is erased with them.
    pub user: Option<UserId>,
    /// When it was made, in milliseconds since 1970: what its age is counted from.
    pub at: u64,
    /// From when on it is as if it were not there, in milliseconds since 1970.
    pub until: Option<u64>,
    /// What it says. Not empty.
    pub body: String,
    /// How often it was written before: 0 at first. Set by the database.
    pub version: u64,
}

impl Row {
    /// A row that says `body`, made at `at`.
    pub fn new(key: impl Into<String>, at: u64, body: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            user: None,
            at,
            until: None,
            body: body.into(),
            version: 0,
        }
    }

    /// The same, about this user.
    #[must_use]
    pub fn about(self, user: impl Into<Option<UserId>>) -> Self {
        let user = user.into();
        Self { user, ..self }
    }

    /// The same, until then.
    #[must_use]
    pub fn until(self, until: impl Into<Option<u64>>) -> Self {
        let until = until.into();
        Self { until, ..self }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Takes a row away. There may be none.
    Delete {
        /// Of which class.
        class: Class,
        /// Under which key.
        key: String,
    },
    /// Adds a row, if there is none under its key.
    Insert {
        /// Of which class.
        class: Class,
        /// The row.
        row: Row,
    },
    /// Adds a row, or writes over the one under its key.
    Put {
        /// Of which class.
        class: Class,
        /// The row.
        row: Row,
    },
    /// Writes over a row, if it is there in this version.
    Swap {
        /// Of which class.
        class: Class,
        /// The row that was read, with what it says now.
        row: Row,
        /// The version that was read.
        seen: u64,
    },
}

/// Which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan {
    /// Of which class.
    pub class: Class,
    /// Whose keys start with this.
    pub prefix: String,
    /// And are greater than this, if something is said.
    pub after: Option<String>,
    /// And are about this user, if one is said.
    pub user: Option<UserId>,
    /// And were made before this, if a time is said: in milliseconds since 1970.
    pub before: Option<u64>,
    /// At most so many.
    pub most: u32,
}

impl Scan {
    /// The first thousand rows of a class.
    #[must_use]
    pub fn of(class: Class) -> Self {
        Self {
            class,
            prefix: String::new(),
            after: None,
            user: None,
            before: None,
            most: 1_000,
        }
    }

    /// Those whose keys start with this.
    #[must_use]
    pub fn starting_with(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        Self { prefix, ..self }
    }

    /// Those after this key.
    #[must_use]
    pub fn after(self, key: impl Into<Option<String>>) -> Self {
        let after = key.into();
        Self { after, ..self }
    }

    /// Those about this user.
    #[must_use]
    pub fn about(self, user: impl Into<Option<UserId>>) -> Self {
        let user = user.into();
        Self { user, ..self }
    }

    /// Those made before this time.
    #[must_use]
    pub fn before(self, millis: impl Into<Option<u64>>) -> Self {
        let before = millis.into();
        Self { before, ..self }
    }

    /// At most so many.
    #[must_use]
    pub fn most(self, most: u32) -> Self {
        Self { most, ..self }
    }
}
