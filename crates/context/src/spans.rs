//! The spans of a run. Their ids are made of where they are, so whoever needs one can work it out: an engine hands none
//! around, and all parties agree without having talked.
//!
//! ```text
//! run ─┬─ stage ─┬─ attempt 1 ── part[0] attempt 1
//!      │         └─ attempt 2 ─┬─ part[0] attempt 1 ── operation
//!      │                       └─ operation
//!      └─ stage ...
//! ```

use crate::{Part, RunId, RunIdentity, SpanId, StageIndex, Step, TraceId};

impl RunIdentity {
    /// The trace that its spans belong to: the one it was given, or else one made of its correlation id, so that everything
    /// with one cause is one trace.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        let made = || TraceId::from_bytes(*self.correlation_id().as_uuid().as_bytes());
        self.trace_id()
            .or_else(|| made().ok())
            .unwrap_or(TraceId::LEAST)
    }

    /// The span of the run itself. The one above it, in another process or in the stage that started it, is
    /// [`RunIdentity::span_id`].
    #[must_use]
    pub fn run_span(&self) -> SpanId {
        Mix::of(self.run_id(), What::Run).span()
    }

    /// The span of a stage, from its first attempt to its end. It lies in the run's.
    #[must_use]
    pub fn stage_span(&self, stage: StageIndex) -> SpanId {
        Mix::of(self.run_id(), What::Stage).with(stage.get()).span()
    }

    /// The span of one attempt of a stage. It lies in the stage's.
    #[must_use]
    pub fn attempt_span(&self, stage: StageIndex, attempt: u32) -> SpanId {
        self.attempt_mix(stage, attempt).span()
    }

    /// The span of one attempt of a part of a stage. It lies in that of the attempt that made the part: see
    /// [`RunIdentity::span_around`].
    #[must_use]
    pub fn part_span(&self, stage: StageIndex, part: &Part, attempt: u32) -> SpanId {
        self.part_mix(stage, part, attempt).span()
    }

    /// The span of the attempt that a part was made in.
    #[must_use]
    pub fn span_around(&self, stage: StageIndex, part: &Part) -> SpanId {
        self.mix_around(stage, part).span()
    }

    /// The span of the `number`th operation of the run.
    #[must_use]
    pub fn operation_span(&self, number: u32) -> SpanId {
        Mix::of(self.run_id(), What::Operation).with(number).span()
    }

    fn attempt_mix(&self, stage: StageIndex, attempt: u32) -> Mix {
        Mix::of(self.run_id(), What::Attempt)
            .with(stage.get())
            .with(attempt)
    }

    fn part_mix(&self, stage: StageIndex, part: &Part, attempt: u32) -> Mix {
        let around = self.mix_around(stage, part);
        let around = match part.step() {
            Step::Item(index) => around.with(1).with(*index),
            Step::Round(number) => around.with(2).with(*number),
            Step::Named(name) => name
                .bytes()
                .fold(around.with(3), |mix, byte| mix.with(u32::from(byte))),
        };
        around.with(attempt)
    }

    fn mix_around(&self, stage: StageIndex, part: &Part) -> Mix {
        let during = part.during().get();
        match part.within() {
            None => self.attempt_mix(stage, during),
            Some(within) => self.part_mix(stage, within, during),
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Run = 1,
    Stage,
    Attempt,
    Operation,
}

/// 64 bits that stand for a place. Each step goes through the finaliser of `SplitMix64` (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", 2014), which is a bijection that changes about half of the bits for each bit changed.
#[derive(Clone, Copy)]
struct Mix(u64);

impl Mix {
    fn of(run: RunId, what: What) -> Self {
        let (high, low) = run.as_uuid().as_u64_pair();
        Self(mixed(mixed(high) ^ low)).with(what as u32)
    }

    fn with(self, word: u32) -> Self {
        Self(mixed(self.0 ^ u64::from(word)))
    }

    fn span(self) -> SpanId {
        SpanId::from_bytes(self.0.to_be_bytes()).unwrap_or(SpanId::LEAST)
    }
}

fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
