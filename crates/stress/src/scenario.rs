//! What a scenario is: data, and a function.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Lab, LabError};

/// What one scenario does with a [`Lab`].
pub type RunFn = Arc<dyn Fn(&mut Lab) -> Result<(), LabError> + Send + Sync>;

/// One thing to try, with what it proves and how it is shown that it could fail.
///
/// ```
/// use stageflow_stress::{Breach, Control, Scenario, Tier};
///
/// let scenario = Scenario::new("U1-SUM", "a sum does not depend on the order")
///     .proves("adding up is commutative")
///     .tier(Tier::Smoke)
///     .control(Control::own("subtract", "subtracts instead of adding"))
///     .run(|lab| {
///         lab.trials(100, |lab, trial| {
///             let (a, b) = (trial.seed.get() % 1000, trial.index);
///             let sum = if lab.is_broken("subtract") { a.abs_diff(b) } else { a + b };
///             lab.check(sum == b + a, "the sum is right", Breach::WrongStatus, || format!("{a} + {b} gave {sum}"));
///             Ok(())
///         })
///     });
/// assert_eq!(scenario.id(), "U1-SUM");
/// ```
pub struct Scenario {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) proves: &'static str,
    pub(crate) theme: Theme,
    pub(crate) tier: Tier,
    pub(crate) targets: Vec<&'static str>,
    pub(crate) modes: Vec<&'static str>,
    pub(crate) expected: Duration,
    pub(crate) controls: Vec<Control>,
    pub(crate) state: State,
}

pub(crate) enum State {
    Ready(RunFn),
    /// What it still needs.
    Pending(&'static str),
}

impl Scenario {
    /// A scenario with nothing but an id and a title; pending until it has something to run.
    #[must_use]
    pub fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            proves: "",
            theme: Theme::Any,
            tier: Tier::Daily,
            targets: Vec::new(),
            modes: Vec::new(),
            expected: Duration::from_secs(10),
            controls: Vec::new(),
            state: State::Pending("something to run"),
        }
    }

    /// Says in a sentence what is known once it has passed.
    #[must_use]
    pub fn proves(mut self, proves: &'static str) -> Self {
        self.proves = proves;
        self
    }

    /// Puts it into one of the week's themes.
    #[must_use]
    pub fn theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    /// The lowest tier that runs it; the tiers above run it too.
    #[must_use]
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// The targets of the catalogue it covers.
    #[must_use]
    pub fn targets(mut self, targets: impl IntoIterator<Item = &'static str>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// The failure modes it would find.
    #[must_use]
    pub fn modes(mut self, modes: impl IntoIterator<Item = &'static str>) -> Self {
        self.modes.extend(modes);
        self
    }

    /// How long it takes at scale 1 without its controls. After five times as long it counts as hanging.
    #[must_use]
    pub fn expected(mut self, expected: Duration) -> Self {
        self.expected = expected;
        self
    }

    /// A broken variant that it has to notice.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.controls.push(control);
        self
    }

    /// Its work.
    #[must_use]
    pub fn run(
        mut self,
        run: impl Fn(&mut Lab) -> Result<(), LabError> + Send + Sync + 'static,
    ) -> Self {
        self.state = State::Ready(Arc::new(run));
        self
    }

    /// Says what it still needs. It is shown as pending, never as passed.
    #[must_use]
    pub fn pending(mut self, needs: &'static str) -> Self {
        self.state = State::Pending(needs);
        self
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// What is known once it has passed; empty if it says nothing of it.
    #[must_use]
    pub fn claim(&self) -> &'static str {
        self.proves
    }

    /// The broken variants that it has to notice.
    #[must_use]
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// What it still needs, if it cannot be run yet.
    #[must_use]
    pub fn needs(&self) -> Option<&'static str> {
        match self.state {
            State::Ready(_) => None,
            State::Pending(needs) => Some(needs),
        }
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("id", &self.id)
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

/// A broken variant of what a scenario tests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Control {
    /// Its name, unique in its scenario.
    pub name: &'static str,
    /// What it does wrong.
    pub breaks: &'static str,
    pub(crate) sabotage: Sabotage,
    /// Whether what it needs is there.
    pub(crate) needs: fn() -> bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sabotage {
    /// The engine that [`Lab::engine`] gives is broken in this way, at every so-manieth chance.
    Engine { fault: &'static str, every: u64 },
    /// The scenario asks [`Lab::is_broken`] and does it itself.
    Own,
}

impl Control {
    /// A variant that the scenario makes itself when [`Lab::is_broken`] says so.
    #[must_use]
    pub const fn own(name: &'static str, breaks: &'static str) -> Self {
        Self {
            name,
            breaks,
            sabotage: Sabotage::Own,
            needs: || true,
        }
    }

    /// It needs something that is not everywhere: where this says that it is not there, the control is left out, and the scenario
    /// has to say what else is.
    #[must_use]
    pub const fn where_there_is(self, needs: fn() -> bool) -> Self {
        Self { needs, ..self }
    }

    /// The engine of [`Lab::engine`] goes wrong in this way at every `every`-th chance: a name of the executor's `Fault`.
    /// Without the feature `sabotage` it is left out.
    #[must_use]
    pub const fn engine(
        name: &'static str,
        breaks: &'static str,
        fault: &'static str,
        every: u64,
    ) -> Self {
        Self {
            name,
            breaks,
            sabotage: Sabotage::Engine { fault, every },
            needs: || true,
        }
    }

    /// Whether this build can break what it breaks, here.
    pub(crate) fn is_possible(&self) -> bool {
        let is_built = cfg!(feature = "sabotage") || matches!(self.sabotage, Sabotage::Own);
        is_built && (self.needs)()
    }
}

/// How much of the suite is run. Each tier has everything of the ones before it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Tier {
    /// Seconds: with each commit.
    Smoke,
    /// At most five minutes.
    Daily,
    /// Deep dives, a theme a day.
    Weekly,
    /// Chaos.
    Monthly,
}

/// What a scenario is about, and the day of the week that digs into it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Theme {
    /// Context and data.
    Mon,
    /// Dependency resolution.
    Tue,
    /// Interceptors and timeouts.
    Wed,
    /// Observability and telemetry.
    Thu,
    /// Tenants and security.
    Fri,
    /// Chaos, and what has no day.
    Any,
}
