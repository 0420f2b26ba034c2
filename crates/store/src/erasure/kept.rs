//! Receipts that the store keeps.

use stageflow_context::UserId;
use stageflow_tenancy::TenantScope;

use super::receipt::digests_of;
use super::{Erasure, ErasureError, ErasureReceipt};
use crate::{Class, Row, Scan, Shelf, StoreError, StoreErrorKind};

impl Erasure {
    /// The receipts of all erasures of this user in this tenant, in the order in which they were begun, at most
    /// [`Scan::MOST`] for each key: for whoever was not told how an erasure ended, since its answer was lost on the way. The store
    /// keeps them as they were given out. What is there and was not signed with one of our keys is left out.
    ///
    /// # Errors
    ///
    /// [`ErasureError`] if the database does not answer.
    pub async fn receipts(
        &self,
        scope: &TenantScope,
        user: UserId,
    ) -> Result<Vec<ErasureReceipt>, ErasureError> {
        let shelf = self.store.open(scope).await?;
        let mut receipts = Vec::new();
        for digest in digests_of(scope.org(), user, &self.keys) {
            let scan = Scan::of(Class::Upkeep).starting_with(format!("erased/{digest}/"));
            let rows = shelf.scan(scan.most(Scan::MOST)).await?;
            receipts.extend(rows.iter().filter_map(|row| self.ours(scope, user, row)));
        }
        receipts.sort_by_key(ErasureReceipt::began);
        Ok(receipts)
    }

    fn ours(&self, scope: &TenantScope, user: UserId, row: &Row) -> Option<ErasureReceipt> {
        let receipt: ErasureReceipt = row.body.parse().ok()?;
        let is_ours = receipt.check_for(scope.org(), user, &self.keys).is_ok();
        is_ours.then_some(receipt)
    }

    /// The receipt of the erasure that `mine` would have been the receipt of: somebody else did the same, and was faster.
    pub(super) async fn theirs(
        &self,
        shelf: &dyn Shelf,
        mine: &ErasureReceipt,
    ) -> Result<ErasureReceipt, ErasureError> {
        let busy = || StoreError::new(StoreErrorKind::TooBusy, "erasing a user");
        let row = shelf.get(Class::Upkeep, &mine.key()).await?;
        let theirs = row.ok_or_else(busy)?.body.parse::<ErasureReceipt>();
        let corrupt = || StoreError::new(StoreErrorKind::Corrupt, "reading a receipt");
        let theirs = theirs.ok().filter(|theirs| theirs.is_signed(&self.keys));
        Ok(theirs.ok_or_else(corrupt)?)
    }
}
