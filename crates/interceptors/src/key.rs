//! Which calls share the state of a layer.

use std::fmt;
use std::sync::Arc;

use stageflow_context::{OrgId, StageName};

use crate::Call;

/// Which calls share the state of a layer: a breaker, a rate, a cap. Orgs never share it, unless that is said.
///
/// ```
/// use stageflow_interceptors::KeyBy;
///
/// // Each stage of each pipeline by itself, for each org by itself: what holds if nothing is said.
/// let own = KeyBy::stage();
/// // All stages that call the same model, for all orgs together: the key to it is one.
/// let model = KeyBy::dependency("gpt").across_orgs();
/// ```
#[derive(Clone, Debug)]
pub struct KeyBy {
    what: What,
    across_orgs: bool,
}

#[derive(Clone, Debug)]
enum What {
    Engine,
    Pipeline,
    Stage,
    Dependency(Arc<str>),
}

impl KeyBy {
    /// The calls of one stage of one pipeline.
    #[must_use]
    pub const fn stage() -> Self {
        Self::of(What::Stage)
    }

    /// The calls of all stages of one pipeline.
    #[must_use]
    pub const fn pipeline() -> Self {
        Self::of(What::Pipeline)
    }

    /// All calls that the layer is around.
    #[must_use]
    pub const fn engine() -> Self {
        Self::of(What::Engine)
    }

    /// All calls that the layer is around, under the name of what they call: events and errors tell it.
    pub fn dependency(name: impl Into<Arc<str>>) -> Self {
        Self::of(What::Dependency(name.into()))
    }

    /// Orgs share it, too.
    #[must_use]
    pub const fn across_orgs(mut self) -> Self {
        self.across_orgs = true;
        self
    }

    const fn of(what: What) -> Self {
        Self {
            what,
            across_orgs: false,
        }
    }

    /// The key of this call.
    #[must_use]
    pub fn key(&self, call: &Call<'_>) -> Key {
        let of_pipeline = matches!(self.what, What::Pipeline | What::Stage);
        Key {
            org: call.org().filter(|_| !self.across_orgs),
            pipeline: of_pipeline.then(|| Arc::clone(call.plan().name())),
            stage: matches!(self.what, What::Stage).then(|| call.stage().clone()),
            dependency: match &self.what {
                What::Dependency(name) => Some(Arc::clone(name)),
                _ => None,
            },
        }
    }
}

impl Default for KeyBy {
    fn default() -> Self {
        Self::stage()
    }
}

/// What calls have in common that share the state of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    org: Option<OrgId>,
    pipeline: Option<Arc<str>>,
    stage: Option<StageName>,
    dependency: Option<Arc<str>>,
}

impl Key {
    /// The org, if it is one org's.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.org
    }
}

/// Without the org: whoever reads it may be another one.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.dependency, &self.pipeline, &self.stage) {
            (Some(name), ..) => f.write_str(name),
            (None, Some(pipeline), Some(stage)) => write!(f, "{pipeline}/{stage}"),
            (None, Some(pipeline), None) => f.write_str(pipeline),
            (None, None, _) => f.write_str("engine"),
        }
    }
}
