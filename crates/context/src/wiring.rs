//! Which stages a pipeline has and what each waits for, in the plain form that records keep.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{StageIndex, StageName};

/// The stages of a pipeline, in the order of declaration, and what each waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    wires: Vec<Wire>,
}

/// One stage of a [`Wiring`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Wire {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for, such as `transform`.
    pub kind: Arc<str>,
    /// What it is for the engine, such as `merge`; `stage` for most.
    pub role: Arc<str>,
    /// The stages it waits for, by number, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
    /// Whether what it did can be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_undo: bool,
}

impl Wire {
    /// The stage `name`, which waits for these.
    pub fn new(
        name: impl Into<Arc<str>>,
        kind: impl Into<Arc<str>>,
        role: impl Into<Arc<str>>,
        after: Vec<u32>,
    ) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            role: role.into(),
            after,
            has_undo: false,
        }
    }

    /// The same stage, with an undo.
    #[must_use]
    pub fn with_undo(self) -> Self {
        Self {
            has_undo: true,
            ..self
        }
    }
}

impl Wiring {
    /// These stages.
    #[must_use]
    pub fn new(wires: Vec<Wire>) -> Self {
        Self { wires }
    }

    /// The stages with these names, of which nothing else is known.
    #[must_use]
    pub fn of_names(names: &[StageName]) -> Self {
        let wire = |name: &StageName| Wire::new(name.as_str(), "work", "stage", Vec::new());
        Self::new(names.iter().map(wire).collect())
    }

    /// The stages, in the order of declaration.
    #[must_use]
    pub fn wires(&self) -> &[Wire] {
        &self.wires
    }

    /// A stage.
    #[must_use]
    pub fn get(&self, stage: StageIndex) -> Option<&Wire> {
        self.wires.get(stage.as_usize())
    }
}
