//! Documents whose changes are told.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use stageflow_context::SealKeys;

use super::Documents;
use crate::audit::sum;
use crate::{
    AuditDraft, AuditError, AuditTrail, Class, Row, StoreError, StoreErrorKind, Write, body,
};

/// How often it is tried again because somebody else wrote to the document meanwhile.
const TRIES: u32 = 16;

/// [`Documents`] of which each change is an entry in the audit trail of the tenant, with the sums of the document before and after
/// it: the change and its entry are one commit, so both are there or neither. Made by [`Documents::audited`].
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{SealKeys, StageCx, Stop};
/// use stageflow_store::{AuditDraft, Documents, Store};
/// use stageflow_tenancy::TenantScope;
///
/// async fn fix(cx: StageCx, store: &dyn Store, keys: SealKeys) -> Result<(), Stop> {
///     let documents = Documents::open(store, &TenantScope::of(&cx)?).await?.audited(keys);
///     let told = AuditDraft::new("kb.document_changed").by("ada").because("a typo").in_run(cx.run_id());
///     documents.put("handbook/holidays", &json!({ "days": 30 }), told).await?;
///     Ok(())
/// }
/// ```
pub struct AuditedDocuments {
    documents: Documents,
    trail: AuditTrail,
}

impl Documents {
    /// The same documents, where each change is told in the audit trail, which is under these keys.
    #[must_use]
    pub fn audited(&self, keys: impl Into<Arc<SealKeys>>) -> AuditedDocuments {
        let trail = AuditTrail::new(Arc::clone(&self.shelf), keys);
        AuditedDocuments {
            documents: self.clone(),
            trail: trail.clock(Arc::clone(&self.wall)),
        }
    }
}

impl AuditedDocuments {
    /// Keeps a document, and tells so.
    ///
    /// The sums are those of the documents as JSON, as [`AuditDraft::changed`] has them. Of a document of a user the entry is about
    /// the user, and the sums are among its details, which go when the user is erased: what says little can be guessed by its sum.
    ///
    /// # Errors
    ///
    /// [`AuditError`] with the error of the store, as [`Documents::put`], or if the trail is not as it was left.
    pub async fn put(&self, name: &str, value: &Value, told: AuditDraft) -> Result<(), AuditError> {
        let row = self.documents.row(name, value)?;
        let after = said(value)?;
        for _ in 0..TRIES {
            let before = self.documents.shelf.get(Class::Documents, &row.key).await?;
            let (class, row) = (Class::Documents, row.clone());
            let write = match &before {
                Some(before) => Write::Swap {
                    class,
                    row,
                    seen: before.version,
                },
                None => Write::Insert { class, row },
            };
            let told = self.tell(told.clone(), before.as_ref(), Some(&after))?;
            if self
                .trail
                .append_with(vec![told], vec![write])
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
        Err(busy().into())
    }

    /// Takes a document away, and tells so. Gives `false`, and tells nothing, if there is none.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn delete(&self, name: &str, told: AuditDraft) -> Result<bool, AuditError> {
        let key = self.documents.key(name)?;
        for _ in 0..TRIES {
            let class = Class::Documents;
            let Some(row) = self.documents.shelf.get(class, &key).await? else {
                return Ok(false);
            };
            let told = self.tell(told.clone(), Some(&row), None)?;
            let (key, seen) = (key.clone(), row.version);
            let writes = vec![
                Write::Swap { class, row, seen },
                Write::Delete { class, key },
            ];
            if self.trail.append_with(vec![told], writes).await?.is_some() {
                return Ok(true);
            }
        }
        Err(busy().into())
    }

    fn tell(
        &self,
        told: AuditDraft,
        before: Option<&Row>,
        after: Option<&str>,
    ) -> Result<AuditDraft, StoreError> {
        let before = before.map(|row| said(&body::read::<super::Page>(row)?.value));
        let before = before.transpose()?;
        let Some(user) = self.documents.user else {
            return Ok(told.changed(
                before.as_deref().map(str::as_bytes),
                after.map(str::as_bytes),
            ));
        };
        let sum = |text: Option<&str>| text.map(|text| sum(text.as_bytes()));
        let sums = json!({ "before": sum(before.as_deref()), "after": sum(after) });
        Ok(told.about(user).with_detail("changed", sums))
    }
}

fn said(value: &Value) -> Result<String, StoreError> {
    body::written(value)
}

fn busy() -> StoreError {
    StoreError::new(StoreErrorKind::TooBusy, "changing a document")
}

impl fmt::Debug for AuditedDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditedDocuments")
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}
