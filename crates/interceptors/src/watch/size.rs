//! How much a run carries about.

use std::num::NonZeroUsize;

use serde_json::{Value, json};
use stageflow_context::{OutputEntry, RunHost, StageErrorKind};

use crate::{Call, Ending, Flow, Hook, Phase};

/// Watches how much a run carries about: its snapshot as JSON, and what its stages have recorded with `cx.record(..)`. Of
/// what was recorded it can measure texts, bytes and JSON; other types are counted in the event.
///
/// It tells `layer.context_size.large` when a stage starts with more than the bound, and `layer.context_size.grew` when a stage
/// has recorded more than it should have; only what the stage itself has recorded counts for that, whatever others record
/// meanwhile. [`ContextSize::failing`] makes a failure, `SF0314`, of the first.
///
/// A snapshot does not change within a run, and it is measured for each call: that takes time linear in its size.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_interceptors::{ContextSize, Stack};
///
/// let megabyte = NonZeroUsize::new(1024 * 1024).unwrap();
/// let stack = Stack::new().with(ContextSize::at_most(megabyte).failing());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContextSize {
    largest: NonZeroUsize,
    growth: Option<NonZeroUsize>,
    then: Then,
}

/// What becomes of a call that starts with too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Fail,
    Tell,
}

/// What was measured, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    snapshot: usize,
    recorded: usize,
    /// How many values were recorded that cannot be measured.
    unmeasured: usize,
}

impl Sizes {
    fn total(self) -> usize {
        self.snapshot.saturating_add(self.recorded)
    }

    fn add(mut self, entry: OutputEntry<'_>) -> Self {
        match size_of_recorded(entry) {
            Some(bytes) => self.recorded = self.recorded.saturating_add(bytes),
            None => self.unmeasured += 1,
        }
        self
    }

    fn of(host: &dyn RunHost) -> Self {
        // More than can be written is more than any bound.
        let snapshot = host.snapshot().to_json();
        let start = Self {
            snapshot: snapshot.map_or(usize::MAX, |text| text.len()),
            ..Self::default()
        };
        host.outputs().view().iter().fold(start, Self::add)
    }
}

fn size_of_recorded(entry: OutputEntry<'_>) -> Option<usize> {
    if let Ok(text) = entry.get::<String>() {
        return Some(text.len());
    }
    if let Ok(bytes) = entry.get::<Vec<u8>>() {
        return Some(bytes.len());
    }
    let value = entry.get::<Value>().ok()?;
    Some(value.to_string().len())
}

impl ContextSize {
    /// Tells of stages that start with more than so many bytes.
    #[must_use]
    pub const fn at_most(bytes: NonZeroUsize) -> Self {
        Self {
            largest: bytes,
            growth: None,
            then: Then::Tell,
        }
    }

    /// And of stages that record more than so many bytes.
    #[must_use]
    pub const fn growing_by(mut self, bytes: NonZeroUsize) -> Self {
        self.growth = Some(bytes);
        self
    }

    /// Fails stages that would start with too much.
    #[must_use]
    pub const fn failing(mut self) -> Self {
        self.then = Then::Fail;
        self
    }

    /// What this stage has recorded so far.
    fn own(call: &Call<'_>) -> Sizes {
        let view = call.host().outputs().view();
        let own = view
            .iter()
            .filter(|entry| entry.writer() == call.stage().as_str());
        own.fold(Sizes::default(), Sizes::add)
    }
}

impl Hook for ContextSize {
    fn name(&self) -> &str {
        "context-size"
    }

    fn phase(&self) -> Phase {
        Phase::Telemetry
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let sizes = Sizes::of(&**call.host());
        let largest = self.largest.get();
        if sizes.total() > largest {
            let told = json!({
                "at_most": largest,
                "snapshot": sizes.snapshot,
                "recorded": sizes.recorded,
                "unmeasured": sizes.unmeasured,
            });
            call.tell("context-size", "large", told);
            if self.then == Then::Fail {
                let why = format!(
                    "the run carries {} bytes about ({} of them in its snapshot), and {largest} are allowed",
                    sizes.total(),
                    sizes.snapshot
                );
                return Flow::Reject(call.error(StageErrorKind::Invalid, why));
            }
        }
        match self.growth {
            Some(_) => Flow::Continue,
            None => Flow::Pass,
        }
    }

    fn exit(&self, call: &mut Call<'_>, _ending: &mut Ending) {
        let Some(growth) = self.growth else { return };
        // Names of stages are unique, and it is called as a whole once: all that is there under its name is of this call.
        let own = Self::own(call);
        if call.part().is_none() && own.recorded > growth.get() {
            let told = json!({ "at_most": growth, "recorded": own.recorded, "unmeasured": own.unmeasured });
            call.tell("context-size", "grew", told);
        }
    }
}
