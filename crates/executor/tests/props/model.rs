//! What the machine must do next, found out by looking at all stages every time.

use stageflow_executor::machine::{Effect, Input, StageEnd, Verdict};

use crate::graphs::Graph;

/// A run of a small pipeline, between two inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'g> {
    graph: &'g Graph,
    slots: usize,
    waiting: u8,
    pub(crate) running: u8,
    /// Those that ended with a value, or without one where none is needed.
    gave: u8,
    /// Those that wait for a slot, in the order in which they became ready.
    ready: [u8; 8],
    ready_count: usize,
    pub(crate) verdict: Option<Verdict>,
    done: bool,
}

/// Everything the machine must want after one input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    absent: u8,
    skip: u8,
    because: u32,
    stop: bool,
    starts: [u8; 8],
    starts_count: usize,
    done: Option<Verdict>,
}

impl<'g> Model<'g> {
    pub(crate) fn new(graph: &'g Graph, slots: usize) -> Self {
        Self {
            graph,
            slots,
            waiting: ((1_u16 << graph.count) - 1) as u8,
            running: 0,
            gave: 0,
            ready: [0; 8],
            ready_count: 0,
            verdict: None,
            done: false,
        }
    }

    pub(crate) fn is_running(&self, stage: usize) -> bool {
        self.running & 1 << stage != 0
    }

    /// Takes an input and says what must come of it.
    pub(crate) fn take(&mut self, input: Input) -> Wanted {
        let mut wanted = Wanted::default();
        match input {
            Input::Begin => {}
            Input::Cancel => self.stop(Verdict::Cancelled, &mut wanted),
            Input::Ended { stage, end } => self.ended(stage, end, &mut wanted),
            other => panic!("the model knows nothing of {other:?}"),
        }
        self.look_for_ready();
        while self.verdict.is_none()
            && (self.running.count_ones() as usize) < self.slots
            && self.ready_count > 0
        {
            let stage = self.ready[0];
            self.ready.rotate_left(1);
            self.ready_count -= 1;
            self.running |= 1 << stage;
            wanted.starts[wanted.starts_count] = stage;
            wanted.starts_count += 1;
        }
        if self.running == 0 && !self.done {
            self.done = true;
            wanted.done = Some(self.verdict.unwrap_or(Verdict::Completed));
        }
        wanted
    }

    fn ended(&mut self, stage: u32, end: StageEnd, wanted: &mut Wanted) {
        let at = stage as usize;
        self.running &= !(1 << at);
        let optional = self.graph.is_optional(at);
        match end {
            StageEnd::Succeeded => self.gave |= 1 << at,
            StageEnd::Failed if optional => self.absent(at, wanted),
            StageEnd::Skipped => {
                wanted.because = stage;
                self.skip_cone(at, wanted);
            }
            StageEnd::Failed => self.stop(Verdict::Failed(stage), wanted),
            StageEnd::Denied => self.stop(Verdict::Denied(stage), wanted),
            StageEnd::CancelledRun => self.stop(Verdict::CancelledBy(stage), wanted),
            StageEnd::Interrupted => self.stop(Verdict::Cancelled, wanted),
            other => panic!("the model knows nothing of {other:?}"),
        }
    }

    fn absent(&mut self, stage: usize, wanted: &mut Wanted) {
        wanted.absent |= 1 << stage;
        self.gave |= 1 << stage;
    }

    /// The smallest set with the origin in it and everything that waits for a required member: found by adding to it until
    /// nothing more is to be added.
    fn skip_cone(&mut self, origin: usize, wanted: &mut Wanted) {
        let mut skipped = 1_u8 << origin;
        loop {
            let required = skipped & !self.graph.optional;
            let next = self.graph.stages().find(|stage| {
                let can_be = self.waiting & 1 << stage != 0 && skipped & 1 << stage == 0;
                can_be && self.graph.upstream[*stage] & required != 0
            });
            let Some(next) = next else { break };
            skipped |= 1 << next;
        }
        wanted.skip = skipped & !(1 << origin);
        self.waiting &= !wanted.skip;
        for stage in self
            .graph
            .stages()
            .filter(|stage| skipped & self.graph.optional & 1 << stage != 0)
        {
            self.absent(stage, wanted);
        }
    }

    fn stop(&mut self, verdict: Verdict, wanted: &mut Wanted) {
        if self.verdict.is_none() && !self.done {
            self.verdict = Some(verdict);
            wanted.stop = self.running != 0;
        }
    }

    fn look_for_ready(&mut self) {
        for stage in self.graph.stages() {
            let has_all = self.graph.upstream[stage] & !self.gave == 0;
            if self.waiting & 1 << stage != 0 && has_all {
                self.waiting &= !(1 << stage);
                self.ready[self.ready_count] = stage as u8;
                self.ready_count += 1;
            }
        }
    }
}

impl Wanted {
    /// Whether these are the effects: values and skips first, in any order, then starts in exactly this one, then the end.
    pub(crate) fn is(&self, effects: &[Effect]) -> bool {
        let mut left = *self;
        let mut starts = 0;
        for effect in effects {
            let fits = match *effect {
                Effect::Absent(stage) => starts == 0 && take(&mut left.absent, stage),
                Effect::Skip { stage, because } => {
                    starts == 0 && because == left.because && take(&mut left.skip, stage)
                }
                Effect::Stop => std::mem::take(&mut left.stop),
                Effect::Start(stage) => {
                    starts += 1;
                    starts <= left.starts_count && u32::from(left.starts[starts - 1]) == stage
                }
                Effect::Done(verdict) => {
                    left.done.take() == Some(verdict) && starts == left.starts_count
                }
                _ => false,
            };
            if !fits {
                return false;
            }
        }
        (left.absent, left.skip, left.stop, left.done, starts)
            == (0, 0, false, None, left.starts_count)
    }
}

fn take(set: &mut u8, stage: u32) -> bool {
    let bit = 1 << stage;
    let was_there = *set & bit != 0;
    *set &= !bit;
    was_there
}
