//! What the machine is told, and what it wants done.

use std::time::Duration;

/// A moment, in nanoseconds since the run started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The moment the run started.
    pub const ZERO: Self = Self(0);

    /// So many nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This long after the start.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// So much later; at the end of time if that is beyond it.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// What the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A stage that was started waits for somebody outside: until it ends, it does not count as running at a time.
    Aside {
        /// The stage.
        stage: u32,
    },
    /// The stage gave a sign of life at this moment; its idle limit counts from there.
    Beat {
        /// The stage.
        stage: u32,
        /// When it was.
        at: Tick,
        /// The limit.
        idle: Duration,
    },
    /// Start the run.
    Begin,
    /// The default value of a stage could not be made, as [`Effect::Absent`] had asked: the run fails, whatever the policy.
    Broken {
        /// The stage.
        stage: u32,
    },
    /// Somebody outside wants the run to stop.
    Cancel,
    /// All arms that a route takes were told with [`Input::Took`]; the others are skipped.
    Chosen {
        /// The route.
        route: u32,
    },
    /// A stage that was started has ended.
    Ended {
        /// The stage.
        stage: u32,
        /// How.
        end: StageEnd,
    },
    /// A stage that was to be stopped may go on for a while.
    Grace {
        /// The stage.
        stage: u32,
        /// When it was told to stop.
        since: Tick,
        /// For how long.
        limit: Duration,
    },
    /// A stage that was queued has what it waited for, and starts.
    Admitted {
        /// The stage.
        stage: u32,
    },
    /// A stage that was queued had what it waited for, when the run had no room. It is started as soon as there is room, before
    /// those that are ready.
    Deferred {
        /// The stage.
        stage: u32,
    },
    /// A stage that was to be started has to wait for something that other runs have. It counts as not started, and takes no
    /// room in the run.
    Queued {
        /// The stage.
        stage: u32,
    },
    /// A stage that was queued is not going to be started, because the run stops.
    Withdrawn {
        /// The stage.
        stage: u32,
    },
    /// A stage did not end at its first poll: its limits count from `since`.
    Suspended {
        /// The stage.
        stage: u32,
        /// When it was started.
        since: Tick,
        /// How long it may take.
        attempt: Option<Duration>,
        /// How long it may go without a sign of life.
        idle: Option<Duration>,
    },
    /// Time has passed.
    Tick,
    /// A route takes this arm, and its value is in its slot. The answer to [`Effect::Choose`], before [`Input::Chosen`].
    Took {
        /// The arm.
        arm: u32,
    },
}

/// How a stage ended, as far as scheduling is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StageEnd {
    /// It asked to cancel the run.
    CancelledRun,
    /// A layer refused it. This ends the run, also if the stage is optional: a denial is never a missing value.
    Denied,
    /// It failed, panicked or took too long.
    Failed,
    /// It was stopped.
    Interrupted,
    /// There was nothing for it to do.
    Skipped,
    /// It gave its value.
    Succeeded,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Put the value that stands for none into the slot of this stage: the absent value of an optional one, or the default.
    Absent(u32),
    /// Look into the slot of this route: put the values of the arms it takes into theirs, tell each with [`Input::Took`], and
    /// then [`Input::Chosen`].
    Choose(u32),
    /// Everything that was started has ended: clean up and report.
    Done(Verdict),
    /// A limit of this stage has passed: stop it, or send a [`Input::Beat`] if it gave a later sign of life.
    Expire {
        /// The stage.
        stage: u32,
        /// Which limit.
        limit: Limit,
    },
    /// This node has its value without being run. An arm has it in its slot already; a merge takes that of `from`; a join
    /// makes a list of what is in the slots of its branches now.
    Resolve {
        /// The arm, merge or join.
        stage: u32,
        /// The route, or the branch that came last.
        from: u32,
    },
    /// This stage is not started, because there is nothing for it to do.
    Skip {
        /// The stage.
        stage: u32,
        /// The stage that was skipped or failed first; for an arm its route, for a fallback the stage that did not need it.
        because: u32,
    },
    /// Start this stage.
    Start(u32),
    /// Stop everything that was started and has not ended. The machine waits until all of it has.
    Stop,
    /// Put the value of `from`, a fallback, into the slot of this stage, too.
    Substitute {
        /// The stage that failed.
        stage: u32,
        /// The fallback that gave a value.
        from: u32,
    },
}

/// Which limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// From start to end.
    Attempt(Duration),
    /// From when the run was told to stop to the stage's end.
    Grace(Duration),
    /// From one sign of life, here the last one known, to the next.
    Idle {
        /// The last sign of life the machine knows of.
        since: Tick,
        /// The limit.
        limit: Duration,
    },
}

/// How the run ends. The first cause decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Somebody outside asked.
    Cancelled,
    /// This stage asked.
    CancelledBy(u32),
    /// Nothing went wrong.
    Completed,
    /// A layer refused this stage.
    Denied(u32),
    /// This stage failed.
    Failed(u32),
    /// It was not let in.
    NotAdmitted,
    /// The run took too long.
    TimedOut,
}
