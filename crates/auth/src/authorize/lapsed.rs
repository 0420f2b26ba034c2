//! When the time of whoever asks is over, and the run goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{SystemClock, WallClock};

use crate::Principal;

/// What becomes of what is required in a run after the moment up to which its principal was proved
/// ([`Principal::valid_until`]; of a token that is its `exp` and the leeway of its rules). The door looks at that moment once,
/// when the run starts.
///
/// Whether it was over is in each event `auth.decision`, as `lapsed`, whatever is said here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenLapsed {
    /// It is decided for the principal as it was let in, as a server finishes a request that came in time. Give runs a deadline.
    #[default]
    AsAdmitted,
    /// It is denied, with the code `SF0634`, and no policy is asked.
    Deny,
}

/// Which of the two, by which clock.
#[derive(Clone)]
pub(super) struct Lapse {
    pub(super) then: WhenLapsed,
    pub(super) clock: Arc<dyn WallClock>,
}

impl Lapse {
    /// For how long the time of somebody is over, if it is.
    pub(super) fn of(&self, who: &Principal) -> Option<Duration> {
        let end = who.valid_until()?;
        self.clock.now().duration_since(end).ok()
    }
}

impl Default for Lapse {
    fn default() -> Self {
        Self {
            then: WhenLapsed::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl fmt::Debug for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.then.fmt(f)
    }
}
