//! Whether what all stages share stays as it is.

use std::collections::BTreeMap;
use std::fmt;

use stageflow_context::{Fingerprint, StageErrorKind};

use crate::{Call, Ending, Flow, Hook, Phase};

/// Fails a stage during whose call something changed that nobody may change: an extension of the snapshot, or the stage's input.
/// The error is an `SF0314` that names it.
///
/// Nothing in a snapshot is handed out mutably, so such a change comes from interior mutability: a lock or an atomic in an
/// extension, or in an upstream value. An extension is looked at once it was decoded, by the JSON of its value; the input if it
/// has a digest (see [`StageBuilder::digested`](stageflow_graph::StageBuilder::digested)).
///
/// If stages run at the same time, each of them that saw the change fails: which of them made it cannot be told. Stages that
/// only read never fail, however many run. It costs time linear in the size of what it looks at, twice for each call: use it
/// in tests, and where that is worth it.
///
/// ```
/// use stageflow_interceptors::{ContextImmutabilityValidator, Stack};
///
/// let stack = Stack::new().with(ContextImmutabilityValidator::new());
/// assert!(stack.describe().contains("immutability [telemetry, hook]"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ContextImmutabilityValidator(());

impl ContextImmutabilityValidator {
    /// Looks at every call it is around.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

/// What there was at the start of the call.
#[derive(Default)]
struct Seen {
    /// Those that were decoded.
    extensions: BTreeMap<String, Option<Fingerprint>>,
    input: Option<Fingerprint>,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
enum Changed {
    Extension(String),
    Input,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension(name) => write!(f, "`extensions.{name}`"),
            Self::Input => f.write_str("the stage's input"),
        }
    }
}

impl Seen {
    fn of(call: &Call<'_>) -> Self {
        let extensions = call.host().snapshot().extensions();
        let decoded = extensions.decoded().into_iter();
        Self {
            extensions: decoded
                .map(|(name, digest)| (name.to_owned(), digest))
                .collect(),
            input: call.input_digest().and_then(Result::ok),
        }
    }

    /// The first thing that is not what it was.
    fn changed(&self, call: &Call<'_>) -> Option<Changed> {
        let extensions = call.host().snapshot().extensions();
        let decoded = extensions.decoded();
        let changed = decoded
            .iter()
            .find(|(name, now)| self.extensions.get(*name).is_some_and(|was| was != now));
        let name = changed.map(|(name, _)| *name).or_else(|| {
            // Decoded meanwhile: what it was is what its JSON says.
            let fresh = |name: &&str| !self.extensions.contains_key(*name);
            match decoded.iter().any(|(name, _)| fresh(name)) {
                true => extensions.altered().into_iter().find(fresh),
                false => None,
            }
        });
        if let Some(name) = name {
            return Some(Changed::Extension(name.to_owned()));
        }
        let now = call.input_digest().map(Result::ok);
        match (self.input, now) {
            (Some(was), Some(now)) if now != Some(was) => Some(Changed::Input),
            _ => None,
        }
    }
}

impl Hook for ContextImmutabilityValidator {
    fn name(&self) -> &str {
        "immutability"
    }

    fn phase(&self) -> Phase {
        Phase::Telemetry
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let seen = Seen::of(call);
        *call.scratch::<Seen>() = seen;
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        // A call that ended otherwise has its own story; what it changed is seen by those after it that share it.
        if !matches!(ending, Ending::Succeeded(_)) {
            return;
        }
        let seen = std::mem::take(call.scratch::<Seen>());
        if let Some(changed) = seen.changed(call) {
            let why = format!(
                "{changed} changed while the stage ran, and everybody shares it: keep what changes out of it, or behind a port of its own"
            );
            *ending = Ending::Failed(call.error(StageErrorKind::Invalid, why));
        }
    }
}
