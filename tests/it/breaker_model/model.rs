//! What a breaker must do, worked out of everything that has happened.

use std::time::Duration;

use stageflow::interceptors::BreakerState;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Succeeds,
    FailsTransiently,
    TimesOut,
    Panics,
    FailsForGood,
    IsDenied,
    IsRejectedInside,
    Skips,
    CancelsItsRun,
    IsCancelled,
    IsDropped,
}

impl How {
    /// What it says of the dependency: `Some(true)` for a failure.
    pub(super) fn failed(self) -> Option<bool> {
        match self {
            Self::Succeeds => Some(false),
            Self::FailsTransiently | Self::TimesOut | Self::Panics => Some(true),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Opens {
    Row(u32),
    Rate {
        percent: u64,
        window: u64,
        min_calls: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) opens: Opens,
    pub(super) cool_down: u64,
    pub(super) probes: usize,
}

/// What is known of one org's breaker: everything that happened since it came to be.
#[derive(Debug)]
pub(super) struct Model {
    rule: Rule,
    born: u64,
    /// Which state it is, and since when.
    phase: u32,
    since: u64,
    kind: Kind,
    /// Results in this state, with their times.
    results: Vec<(u64, bool)>,
    /// Probes of this state that run.
    probing: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Closed,
    Open,
    Half,
}

impl Model {
    pub(super) fn new(rule: Rule, now: u64) -> Self {
        Self {
            rule,
            born: now,
            phase: 0,
            since: now,
            kind: Kind::Closed,
            results: Vec::new(),
            probing: 0,
        }
    }

    pub(super) fn become_(&mut self, kind: Kind, now: u64, told: &mut Vec<&'static str>) {
        told.push(match kind {
            Kind::Closed => "layer.breaker.closed",
            Kind::Open => "layer.breaker.opened",
            Kind::Half => "layer.breaker.half_opened",
        });
        self.kind = kind;
        self.phase += 1;
        self.since = now;
        self.results.clear();
        self.probing = 0;
        if kind == Kind::Closed {
            self.born = now;
        }
    }

    pub(super) fn rest(&self, now: u64) -> u64 {
        (self.since + self.rule.cool_down).saturating_sub(now)
    }

    /// The phase a call begins in, or when it may come again if that is known.
    pub(super) fn start(
        &mut self,
        now: u64,
        told: &mut Vec<&'static str>,
    ) -> Result<u32, Option<u64>> {
        if self.kind == Kind::Open && self.rest(now) == 0 {
            self.become_(Kind::Half, now, told);
        }
        let refused = match self.kind {
            Kind::Closed => return Ok(self.phase),
            Kind::Open => Some(Some(self.rest(now))),
            Kind::Half => {
                let good = self.results.len();
                (self.probing + good >= self.rule.probes).then_some(None)
            }
        };
        if let Some(wait) = refused {
            told.push("layer.breaker.rejected");
            return Err(wait);
        }
        self.probing += 1;
        Ok(self.phase)
    }

    pub(super) fn end(&mut self, phase: u32, how: How, now: u64, told: &mut Vec<&'static str>) {
        if phase != self.phase {
            return;
        }
        if self.kind == Kind::Half {
            self.probing -= 1;
        }
        let Some(failed) = how.failed() else { return };
        self.results.push((now, failed));
        match (self.kind, failed) {
            (Kind::Half, true) => self.become_(Kind::Open, now, told),
            (Kind::Half, false) if self.results.len() == self.rule.probes => {
                self.become_(Kind::Closed, now, told);
            }
            (Kind::Closed, true) if self.is_too_much(now) => self.become_(Kind::Open, now, told),
            _ => {}
        }
    }

    /// Failures that count at present, and calls.
    pub(super) fn counted(&self, now: u64) -> (u64, u64) {
        match self.rule.opens {
            Opens::Row(_) => {
                let row = self.results.iter().rev().take_while(|(_, failed)| *failed);
                let row = row.count() as u64;
                (row, row)
            }
            Opens::Rate { window, .. } => {
                let slice = |at: u64| (at - self.born) * 10 / window;
                let within = |at: u64| slice(now) - slice(at) < 10;
                let recent: Vec<_> = self.results.iter().filter(|(at, _)| within(*at)).collect();
                let failures = recent.iter().filter(|(_, failed)| *failed).count();
                (failures as u64, recent.len() as u64)
            }
        }
    }

    pub(super) fn is_too_much(&self, now: u64) -> bool {
        let (failures, calls) = self.counted(now);
        match self.rule.opens {
            Opens::Row(most) => failures >= u64::from(most),
            Opens::Rate {
                percent, min_calls, ..
            } => calls >= min_calls as u64 && failures * 100 >= calls * percent,
        }
    }

    pub(super) fn looks_like(&self, now: u64) -> BreakerState {
        match self.kind {
            Kind::Closed => BreakerState::Closed {
                failures: self.counted(now).0,
            },
            Kind::Open => BreakerState::Open {
                rest: Duration::from_millis(self.rest(now)),
            },
            Kind::Half => BreakerState::HalfOpen {
                running: self.probing as u32,
                succeeded: self.results.len() as u32,
            },
        }
    }
}
