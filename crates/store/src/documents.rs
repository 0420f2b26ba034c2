//! Documents of an org, and what is remembered of its users.

mod audited;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow_context::{SystemClock, UserId, WallClock};
use stageflow_tenancy::TenantScope;

use crate::time::millis;
use crate::{Class, Row, Scan, Shelf, Store, StoreError, Write, body};

pub use audited::AuditedDocuments;

/// A document.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// What it is found by.
    pub name: String,
    /// What it says.
    pub value: Value,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// How often it was written before: for [`Documents::swap`].
    pub version: u64,
}

/// Documents of an org, or of one of its users: each has its own names.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_store::{Documents, Store};
/// use stageflow_tenancy::TenantScope;
///
/// async fn remember(cx: StageCx, store: &dyn Store) -> Result<(), Stop> {
///     let scope = TenantScope::of(&cx)?;
///     let documents = Documents::open(store, &scope).await?;
///     documents.put("handbook/holidays", &json!({ "days": 30 })).await?; // for everybody in the org
///     if let Some(user) = scope.user() {
///         documents.of(user).put("language", &json!("de")).await?; // erased with the user
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Documents {
    shelf: Arc<dyn Shelf>,
    wall: Arc<dyn WallClock>,
    user: Option<UserId>,
}

/// What is kept of a document beside its row. A list would not have done: who writes it next may know more.
#[derive(Serialize, Deserialize)]
struct Page {
    value: Value,
}

impl Documents {
    /// Those of this tenant as a whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn open(store: &dyn Store, scope: &TenantScope) -> Result<Self, StoreError> {
        Ok(Self {
            shelf: store.open(scope).await?,
            wall: Arc::new(SystemClock::new()),
            user: None,
        })
    }

    /// The same, by this clock.
    #[must_use]
    pub fn wall_clock(mut self, wall: impl WallClock + 'static) -> Self {
        self.wall = Arc::new(wall);
        self
    }

    /// Those of a user of the tenant: the memory of an assistant. They are about the user, and erased with them.
    #[must_use]
    pub fn of(&self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self.clone()
        }
    }

    /// Keeps a document, in the place of the one of its name if there is one. A name has 1 to 200 bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the kind [`Invalid`](crate::StoreErrorKind::Invalid) if the name is too long or the document too
    /// large, and if the store does not answer.
    pub async fn put(&self, name: &str, value: &Value) -> Result<(), StoreError> {
        let (class, row) = (Class::Documents, self.row(name, value)?);
        self.shelf
            .commit(vec![Write::Put { class, row }])
            .await
            .map(drop)
    }

    /// Writes over a document that was read, unless somebody has written it since: then it gives `false`.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn swap(&self, read: &Document, value: &Value) -> Result<bool, StoreError> {
        let row = self.row(&read.name, value)?;
        let (class, seen) = (Class::Documents, read.version);
        self.shelf
            .commit(vec![Write::Swap { class, row, seen }])
            .await
    }

    /// The document of this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the name cannot be one, or the store does not answer.
    pub async fn get(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let key = self.key(name)?;
        let row = self.shelf.get(Class::Documents, &key).await?;
        row.as_ref().map(|row| self.document(row)).transpose()
    }

    /// Documents in the order of their names, those whose names start with `prefix`, after `after` if something is said. At
    /// most so many, and never more than [`Scan::MOST`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<Document>, StoreError> {
        let shelf = self.place();
        let scan = Scan::of(Class::Documents)
            .starting_with(format!("{shelf}{prefix}"))
            .after(after.map(|after| format!("{shelf}{after}")))
            .most(most.min(Scan::MOST));
        let rows = self.shelf.scan(scan).await?;
        rows.iter().map(|row| self.document(row)).collect()
    }

    /// Takes a document away. There may be none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the name cannot be one, or the store does not answer.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let (class, key) = (Class::Documents, self.key(name)?);
        self.shelf
            .commit(vec![Write::Delete { class, key }])
            .await
            .map(drop)
    }

    /// What the keys start with: no name of one is a name of another.
    fn place(&self) -> String {
        match self.user {
            Some(user) => format!("user/{}/", user.as_uuid().simple()),
            None => "org/".to_owned(),
        }
    }

    fn key(&self, name: &str) -> Result<String, StoreError> {
        // Checked by itself: with what is in front, it would be neither empty nor too long.
        Row::check_key(name)?;
        let key = format!("{}{name}", self.place());
        Row::check_key(&key)?;
        Ok(key)
    }

    fn row(&self, name: &str, value: &Value) -> Result<Row, StoreError> {
        let page = Page {
            value: value.clone(),
        };
        let now = millis(&*self.wall);
        Ok(Row::new(self.key(name)?, now, body::written(&page)?).about(self.user))
    }

    fn document(&self, row: &Row) -> Result<Document, StoreError> {
        let page: Page = body::read(row)?;
        let name = row.key.strip_prefix(&self.place());
        Ok(Document {
            name: name.unwrap_or_default().to_owned(),
            value: page.value,
            at: row.at,
            version: row.version,
        })
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("org", &self.shelf.org())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
