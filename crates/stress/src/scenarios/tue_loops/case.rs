//! Random loops, and what has to come of each.

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

/// The value that is good enough, and the draft that passes.
pub(super) const GOOD: u64 = 0;

/// What a step of a round does: it takes so many milliseconds, and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) takes: u32,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Cancel,
    Fail,
    Panic,
    Skip,
    Value(u64),
}

/// A loop: what is done in each round, and what bounds it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The stage that is repeated, or the writer.
    pub(super) write: Vec<Step>,
    /// The guard; empty if there is none.
    pub(super) guard: Vec<Step>,
    pub(super) at_most: u32,
    /// Odd, where everything else is even: nothing ends at the very moment.
    pub(super) within: Option<u32>,
    pub(super) watched: bool,
    pub(super) spawned: bool,
}

/// What has to come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) text: String,
    /// How many steps were started.
    pub(super) steps: u64,
    pub(super) took: u64,
}

impl Case {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let at_most = rng.random_range(1..=8);
        let guarded = rng.random_bool(0.5);
        let trouble = [0.0, 0.15][rng.random_range(0..2)];
        let content = [0.0, 0.2][rng.random_range(0..2)];
        // Some never change, others hardly ever repeat themselves.
        let values = [2, 4, 1000][rng.random_range(0..3)];
        let step = |rng: &mut ChaCha8Rng, content: f64| {
            let ends = [End::Cancel, End::Fail, End::Panic, End::Skip];
            let end = if rng.random_bool(trouble) {
                ends[rng.random_range(0..ends.len())]
            } else if rng.random_bool(content) {
                End::Value(GOOD)
            } else {
                End::Value(rng.random_range(1..values))
            };
            let takes = 2 * rng.random_range(0..50_u32);
            Step { takes, end }
        };
        let writes = if guarded { 0.0 } else { content };
        let write = (0..at_most).map(|_| step(rng, writes)).collect();
        let guards = if guarded { at_most } else { 0 };
        Self {
            write,
            guard: (0..guards).map(|_| step(rng, content)).collect(),
            at_most,
            within: rng
                .random_bool(0.4)
                .then(|| 2 * rng.random_range(0..300_u32) + 1),
            watched: rng.random_bool(0.4),
            spawned: rng.random_bool(0.3),
        }
    }

    /// A guard that is never content with drafts that never repeat.
    pub(super) fn endless(rounds: u32) -> Self {
        let step = |value: u32| Step {
            takes: 0,
            end: End::Value(u64::from(value) + 1),
        };
        Self {
            write: (0..rounds).map(step).collect(),
            guard: (0..rounds).map(step).collect(),
            at_most: rounds,
            within: None,
            watched: true,
            spawned: false,
        }
    }

    /// The rules, written down step by step.
    pub(super) fn predict(&self) -> Outcome {
        let (mut steps, mut took, mut last) = (0, 0, None);
        let end = |text: String, steps, took| Outcome { text, steps, took };
        for round in 1..=self.at_most {
            let at = round as usize - 1;
            let names: &[&str] = if self.guard.is_empty() {
                &[""]
            } else {
                &[".write", ".guard"]
            };
            for (name, script) in names.iter().zip([&self.write, &self.guard]) {
                let step = script[at];
                steps += 1;
                took += u64::from(step.takes);
                if let Some(within) = self.within.map(u64::from).filter(|limit| took > *limit) {
                    return end(format!("gave up after {round}: time"), steps, within);
                }
                let value = match step.end {
                    End::Value(value) => value,
                    End::Cancel => return end("cancelled".to_owned(), steps, took),
                    End::Skip => return end("skipped".to_owned(), steps, took),
                    End::Fail | End::Panic => {
                        return end(format!("failed: a{name}#{round}"), steps, took);
                    }
                };
                let good = value == GOOD;
                match *name {
                    "" if good => return end(format!("gave {value}"), steps, took),
                    ".guard" if good => {
                        return end(format!("gave {}", last.unwrap_or(GOOD)), steps, took);
                    }
                    ".guard" => {}
                    _ if self.watched && last == Some(value) => {
                        return end(format!("gave up after {round}: unchanged"), steps, took);
                    }
                    _ => last = Some(value),
                }
            }
        }
        end(
            format!("gave up after {}: rounds", self.at_most),
            steps,
            took,
        )
    }
}
