//! Cases drawn from a seed: runs that are in the middle of everything when they are stopped.

use std::num::NonZeroUsize;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::graph::Placement;
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec};

use super::case::{Care, Case, End, Mode, Part, State};

/// Stages that have ended soon; at work; and waiting for a slot, if there are not enough.
const SOON: usize = 3;
const AT_WORK: usize = 24;
const QUEUED: usize = 3;

/// Longer than any run is let go on, in milliseconds.
const NEVER: u32 = 20_000;

/// Who stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Handle,
    Stage,
    Deadline,
    Caller,
}

/// What a stage at work is in the middle of: three stages each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Asleep,
    Channel,
    Locks,
    Files,
    Layer,
    Task,
    Thread,
    Computes,
}

const KINDS: [Kind; AT_WORK / 3] = [
    Kind::Asleep,
    Kind::Channel,
    Kind::Locks,
    Kind::Files,
    Kind::Layer,
    Kind::Task,
    Kind::Thread,
    Kind::Computes,
];

/// A small run that succeeds, to show that the engine still can.
pub(crate) fn next() -> Case {
    let stages = [
        StageSpec::ok(),
        StageSpec::ok()
            .taking(2)
            .after([0])
            .placed(Placement::Spawn),
        StageSpec::ok().taking(4).after([0]),
        StageSpec::ok().after([1, 2]),
    ];
    let part = Part {
        cares: vec![Care::Takes(0)],
        state: State::Locks,
        ..Part::default()
    };
    // A permit is given back by a cleanup, so there is none for a fourth stage.
    let parts = vec![part.clone(), part.clone(), part, Part::default()];
    Case::new(DagSpec::new(stages.into()), parts, End::Itself)
}

/// Draws a run with 24 stages at work, three in each of eight states, beside three that end soon and three that come last.
pub(crate) struct Busy<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) who: Who,
    /// On a paused clock.
    pub(crate) exact: bool,
    pub(crate) layered: bool,
}

impl Busy<'_> {
    pub(crate) fn draw(mut self) -> Case {
        let count = SOON + AT_WORK + QUEUED;
        let (mut stages, mut parts) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for at in 0..count {
            let (stage, part) = self.stage(at);
            stages.push(stage);
            parts.push(part);
        }
        // Odd, so that no stage ends just then by itself.
        let most = if self.exact { 1000 } else { 10 };
        let when = 2 * self.rng.random_range(0..most) + 1;
        self.vary(&mut stages, &mut parts, when);
        let mut spec = DagSpec::new(stages).input(self.rng.random_range(0..1000));
        spec.slots = NonZeroUsize::new([24, 24, 12, 0][self.rng.random_range(0..4)]);
        let end = match self.who {
            Who::Handle => End::Cancel(when),
            Who::Stage => End::Itself,
            Who::Deadline => End::Deadline(when),
            Who::Caller => End::Drop(when),
        };
        let (layered, exact) = (self.layered, self.exact);
        Case {
            layered,
            exact,
            ..Case::new(spec, parts, end)
        }
    }

    fn stage(&mut self, at: usize) -> (StageSpec, Part) {
        let mut part = Part {
            cares: self.cares(),
            ..Part::default()
        };
        let stage = StageSpec::new(Behaviour::Ok);
        if at < SOON {
            // One at once, the others one after the other.
            let delay = [0, 2, 20][at] * self.rng.random_range(1..8_u32);
            return (stage.taking(delay), part);
        }
        let never = self.rng.random_bool(0.6);
        let delay = if never { NEVER } else { self.delay() };
        if at >= SOON + AT_WORK {
            return (stage.taking(delay).after(0..SOON), part);
        }
        let kind = KINDS[(at - SOON) / 3];
        part.state = match kind {
            // Only where nobody measures how fast it is.
            Kind::Task | Kind::Thread if !self.exact && self.who == Who::Caller => State::Clings,
            Kind::Asleep | Kind::Task => State::Asleep,
            Kind::Channel | Kind::Thread => State::Channel,
            Kind::Locks => State::Locks,
            Kind::Files => State::Files,
            Kind::Layer => State::Listens,
            Kind::Computes => State::Computes,
        };
        let mut stage = stage.taking(delay);
        if self.rng.random_bool(0.5) {
            stage = stage.after([self.rng.random_range(0..SOON)]);
        }
        if kind == Kind::Layer && self.layered {
            let around = match (at - SOON) % 3 {
                0 => (delay, 2),
                1 => (2, delay),
                _ => (4, 4),
            };
            stage.delay = around.0 + around.1 + 2;
            part.around = Some(around);
        }
        stage.placement = match kind {
            Kind::Task => Placement::Spawn,
            // A thread at work holds the paused clock: there it is a task.
            Kind::Thread if self.exact => Placement::Spawn,
            Kind::Thread => Placement::Blocking,
            _ => Placement::Inline,
        };
        (stage, part)
    }

    fn delay(&mut self) -> u32 {
        let most = if self.exact { 1000 } else { 10 };
        2 * self.rng.random_range(1..most)
    }

    fn cares(&mut self) -> Vec<Care> {
        let count = self.rng.random_range(1..4);
        (0..count)
            .map(|_| match self.rng.random_range(0..20) {
                0 | 1 => Care::Fails,
                2 | 3 => Care::Panics,
                4 => Care::Adds,
                _ if self.exact => Care::Takes(self.rng.random_range(0..3)),
                _ => Care::Takes(0),
            })
            .collect()
    }

    /// Some runs have a cleanup that hangs, some a stage that takes too long before they are stopped.
    fn vary(&mut self, stages: &mut [StageSpec], parts: &mut [Part], when: u32) {
        if self.exact && self.rng.random_bool(0.25) {
            let at = self.rng.random_range(0..SOON + AT_WORK);
            parts[at].cares.push(Care::Hangs);
        }
        let sleeper = SOON + 1;
        if self.exact && self.rng.random_bool(0.4) {
            parts[sleeper].mode =
                [Mode::Timeout, Mode::Idle, Mode::Hang][self.rng.random_range(0..3)];
            stages[sleeper].limit = Some(2 * self.rng.random_range(0..600) + 1);
            stages[sleeper].optional = self.rng.random_bool(0.8);
        }
        if !self.exact && self.rng.random_bool(0.5) {
            // On a thread of its own, past its limit.
            let blocked = SOON + 18;
            parts[blocked].mode = Mode::Hang;
            stages[blocked].limit = Some(3);
            stages[blocked].optional = true;
        }
        if self.who == Who::Stage {
            parts[SOON].mode = Mode::CancelRun;
            stages[SOON] = StageSpec::new(Behaviour::CancelRun).taking(when);
        }
    }
}
