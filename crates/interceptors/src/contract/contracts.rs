//! Contracts by name and version.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use stageflow_graph::StageVersion;

use super::compat::{Compat, compat};
use super::json::{JsonContract, SchemaError};

/// Contracts by name and version: what a version says never changes. A value, not a global: make one where you need it.
///
/// ```
/// use serde_json::json;
/// use stageflow_interceptors::Contracts;
///
/// let mut contracts = Contracts::new();
/// contracts.register("answer", 1, json!({ "type": "object", "required": ["text"] }))?;
/// contracts.register("answer", 2, json!({ "type": "object", "required": ["text", "sources"] }))?;
/// assert!(contracts.get("answer", 2).is_some());
/// assert!(!contracts.compat("answer", 1, 2).unwrap().is_compatible());
///
/// // The same again is fine, another one under the same version is not.
/// contracts.register("answer", 1, json!({ "type": "object", "required": ["text"] }))?;
/// assert!(contracts.register("answer", 1, json!({ "type": "string" })).is_err());
/// # Ok::<(), stageflow_interceptors::ContractError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Contracts {
    known: BTreeMap<Arc<str>, BTreeMap<StageVersion, Known>>,
}

#[derive(Clone)]
struct Known {
    schema: Value,
    contract: JsonContract,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.contract.fmt(f)
    }
}

impl Contracts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a version of a contract. The same schema again changes nothing.
    ///
    /// # Errors
    ///
    /// [`ContractError`] if the schema cannot be used, or if another one has this name and version already; that one stays.
    pub fn register(
        &mut self,
        name: impl Into<Arc<str>>,
        version: impl Into<StageVersion>,
        schema: Value,
    ) -> Result<&JsonContract, ContractError> {
        let (name, version) = (name.into(), version.into());
        let contract = JsonContract::new(format!("{name} v{version}"), &schema)
            .map_err(ContractErrorKind::Schema)?;
        let of_name = self.known.entry(Arc::clone(&name)).or_default();
        match of_name.entry(version) {
            Entry::Vacant(free) => Ok(&free.insert(Known { schema, contract }).contract),
            Entry::Occupied(known) if known.get().schema == schema => {
                Ok(&known.into_mut().contract)
            }
            Entry::Occupied(_) => Err(ContractErrorKind::Taken { name, version }.into()),
        }
    }

    /// A version of a contract, to be put around stages.
    #[must_use]
    pub fn get(&self, name: &str, version: impl Into<StageVersion>) -> Option<JsonContract> {
        Some(self.find(name, version)?.contract.clone())
    }

    /// Names and versions, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, StageVersion)> {
        let names = self.known.iter();
        names.flat_map(|(name, versions)| versions.keys().map(move |v| (&**name, *v)))
    }

    /// What the step from one version to another means for those who still hold to the old one; `None` if one is not known.
    #[must_use]
    pub fn compat(
        &self,
        name: &str,
        old: impl Into<StageVersion>,
        new: impl Into<StageVersion>,
    ) -> Option<Compat> {
        let (old, new) = (self.find(name, old)?, self.find(name, new)?);
        Some(compat(&old.schema, &new.schema))
    }

    fn find(&self, name: &str, version: impl Into<StageVersion>) -> Option<&Known> {
        self.known.get(name)?.get(&version.into())
    }
}

/// A contract that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractError(Box<ContractErrorKind>);

/// Why a contract was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContractErrorKind {
    /// Its schema cannot be used.
    Schema(SchemaError),
    /// Another schema has its name and version.
    Taken {
        /// The name.
        name: Arc<str>,
        /// The version.
        version: StageVersion,
    },
}

impl ContractError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> &ContractErrorKind {
        &self.0
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &*self.0 {
            ContractErrorKind::Schema(error) => error.code(),
            ContractErrorKind::Taken { .. } => "SF0317",
        }
    }
}

impl From<ContractErrorKind> for ContractError {
    fn from(kind: ContractErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ContractErrorKind::Schema(error) => error.fmt(f),
            ContractErrorKind::Taken { name, version } => write!(
                f,
                "SF0317: contract `{name}` cannot have this schema in version {version}, which has another one already; give the new one a version of its own"
            ),
        }
    }
}

impl std::error::Error for ContractError {}
