//! How values become bytes, for stores that keep bytes.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stageflow_context::{BoxError, DynValue};

use super::StoreError;

type Write = dyn Fn(&DynValue) -> Result<Vec<u8>, BoxError> + Send + Sync;
type Read = dyn Fn(&[u8]) -> Result<DynValue, BoxError> + Send + Sync;

/// How values become bytes and are read again, type by type: for stores that keep bytes. A clone is the same codec.
///
/// ```
/// use stageflow_interceptors::idempotency::Codec;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Receipt {
///     number: u64,
/// }
///
/// let codec = Codec::new().json::<Receipt>().json::<String>();
/// ```
#[derive(Clone, Default)]
pub struct Codec {
    types: HashMap<TypeId, Arc<OfType>>,
}

struct OfType {
    write: Box<Write>,
    read: Box<Read>,
}

impl Codec {
    /// One that knows no type.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Values of this type are written as JSON. Also those of `Option<T>`, which optional stages give.
    #[must_use]
    pub fn json<T: Serialize + DeserializeOwned + Send + Sync + 'static>(self) -> Self {
        self.with::<T>(
            |value| Ok(serde_json::to_vec(value)?),
            |bytes| Ok(serde_json::from_slice(bytes)?),
        )
        .with::<Option<T>>(
            |value| Ok(serde_json::to_vec(value)?),
            |bytes| Ok(serde_json::from_slice(bytes)?),
        )
    }

    /// Values of this type are written by the one function and read by the other.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(
        mut self,
        write: impl Fn(&T) -> Result<Vec<u8>, BoxError> + Send + Sync + 'static,
        read: impl Fn(&[u8]) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let of_type = OfType {
            write: Box::new(move |value| match value.downcast_ref::<T>() {
                Some(value) => write(value),
                None => Err(format!("it is not a `{}`", type_name::<T>()).into()),
            }),
            read: Box::new(move |bytes| read(bytes).map(DynValue::new)),
        };
        self.types.insert(TypeId::of::<T>(), Arc::new(of_type));
        self
    }

    pub(super) fn knows(&self, type_id: TypeId) -> bool {
        self.types.contains_key(&type_id)
    }

    pub(super) fn write(
        &self,
        value: &DynValue,
        type_name: &'static str,
    ) -> Result<Arc<[u8]>, StoreError> {
        let Some(of_type) = self.types.get(&value.type_id_of_value()) else {
            return Err(no_codec(type_name));
        };
        let bytes = (of_type.write)(value);
        bytes
            .map(Into::into)
            .map_err(|error| StoreError::unwritable(type_name, error))
    }

    pub(super) fn read(
        &self,
        bytes: &[u8],
        type_id: TypeId,
        type_name: &'static str,
    ) -> Result<DynValue, StoreError> {
        let Some(of_type) = self.types.get(&type_id) else {
            return Err(no_codec(type_name));
        };
        (of_type.read)(bytes)
            .map_err(|error| StoreError::unreadable(format!("as `{type_name}`: {error}")))
    }
}

/// Nobody has said how values of this type become bytes.
pub(super) fn no_codec(type_name: &'static str) -> StoreError {
    StoreError::unwritable(type_name, "it keeps bytes, and no codec knows the type")
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("types", &self.types.len())
            .finish()
    }
}
