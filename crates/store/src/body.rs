//! What rows say, as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Row, StoreError, StoreErrorKind};

pub(crate) fn written(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        // An error of writing names no content.
        StoreError::new(StoreErrorKind::Invalid, "writing a body").because(error)
    })
}

pub(crate) fn read<T: DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    // The error may quote what it read, and is left out.
    serde_json::from_str(&row.body)
        .map_err(|_| StoreError::new(StoreErrorKind::Corrupt, "reading a body"))
}
