//! Reading a trail page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Class, Row, Scan, Shelf, StoreError};

/// Rows of the trail whose keys start with the same, in order.
pub(super) struct Pages {
    shelf: Arc<dyn Shelf>,
    prefix: &'static str,
    after: Option<String>,
    rows: VecDeque<Row>,
}

impl Pages {
    pub(super) fn of_entries(shelf: &Arc<dyn Shelf>) -> Self {
        Self::of(shelf, "e/")
    }

    pub(super) fn of(shelf: &Arc<dyn Shelf>, prefix: &'static str) -> Self {
        Self {
            shelf: Arc::clone(shelf),
            prefix,
            after: None,
            rows: VecDeque::new(),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        if self.rows.is_empty() {
            let scan = Scan::of(Class::Audit)
                .starting_with(self.prefix)
                .after(self.after.clone());
            self.rows = self.shelf.scan(scan).await?.into();
            self.after = self
                .rows
                .back()
                .map(|row| row.key.clone())
                .or_else(|| self.after.take());
        }
        Ok(self.rows.pop_front())
    }
}
