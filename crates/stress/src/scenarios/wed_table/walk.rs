//! What should come of a call, worked out step by step. All times are whole milliseconds.

/// What an attempt ends in, after so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Asks(u64),
    Cancels,
    Hangs,
    Panics,
    Permanent,
    Skips,
    Transient,
    Value,
}

/// How a call may be tried again: so many attempts in all, and these pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    pub(super) attempts: u32,
    pub(super) growth: Growth,
    pub(super) first: u64,
    pub(super) cap: u64,
    pub(super) within: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Growth {
    Constant,
    Exponential,
    Linear,
}

/// One run: what its attempts do (the last one from then on), and when it is told to stop, if it is.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) attempts: Vec<(u64, End)>,
    pub(super) cancel: Option<u64>,
    pub(super) deadline: u64,
    /// How long nothing happens before it.
    pub(super) rest: u64,
}

/// The layers around the stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers {
    pub(super) limit: Option<u64>,
    pub(super) tries: Option<Tries>,
    pub(super) breaker: Rule,
}

/// A breaker that opens after so many failures in a row, for so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) failures: u64,
    pub(super) cool_down: u64,
}

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Closed(u64),
    HalfOpen,
    /// Since then.
    Open(u64),
}

/// How a run should end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) outcome: &'static str,
    pub(super) attempts: u32,
    pub(super) took: u64,
}

/// What an ending says of the stage.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Failure,
    Nothing,
    Success,
}

impl Layers {
    /// How a call ends that begins at this time, and what the breaker does from then on.
    pub(super) fn walk(&self, call: &Call, now: u64, state: State) -> (Ended, State) {
        let Rule {
            failures,
            cool_down,
        } = self.breaker;
        let state = match state {
            State::Open(since) if now < since + cool_down => {
                let ended = Ended {
                    outcome: "failed",
                    attempts: 0,
                    took: 0,
                };
                return (ended, state);
            }
            State::Open(_) => State::HalfOpen,
            state => state,
        };
        let (ended, says) = self.tried(call);
        let after = match (state, says) {
            (state, Says::Nothing) => state,
            (_, Says::Success) => State::Closed(0),
            (State::Closed(row), Says::Failure) if row + 1 < failures => State::Closed(row + 1),
            (_, Says::Failure) => State::Open(now + ended.took),
        };
        (ended, after)
    }

    /// All attempts of a call, and the pauses between them.
    fn tried(&self, call: &Call) -> (Ended, Says) {
        let mut now = 0;
        let mut made = 0_u32;
        loop {
            let at = (made as usize).min(call.attempts.len() - 1);
            made += 1;
            let (takes, end) = call.attempts[at];
            let ended = |outcome, took| Ended {
                outcome,
                attempts: made,
                took,
            };
            let natural = if end == End::Hangs {
                u64::MAX
            } else {
                now + takes
            };
            let limit = self.limit.map_or(u64::MAX, |limit| now + limit);
            let within = self.within().unwrap_or(u64::MAX);
            let cancel = call.cancel.unwrap_or(u64::MAX);
            let stops = [cancel, call.deadline, within, limit, natural];
            let first = stops.into_iter().min().unwrap_or(0);
            if first == cancel {
                return (ended("cancelled", first), Says::Nothing);
            }
            if first == call.deadline {
                return (ended("timed_out", first), Says::Nothing);
            }
            if first == within {
                return (ended("failed", first), Says::Failure);
            }
            now = first;
            // Whether it counts, and the least pause, if there may be another attempt.
            let (says, pause) = match end {
                _ if natural > first => (Says::Failure, Some(0)),
                End::Asks(asked) => (Says::Failure, Some(asked)),
                End::Cancels => return (ended("cancelled", now), Says::Nothing),
                End::Panics => (Says::Failure, None),
                End::Permanent | End::Hangs => (Says::Nothing, None),
                End::Skips => return (ended("skipped", now), Says::Nothing),
                End::Transient => (Says::Failure, Some(0)),
                End::Value => return (ended("succeeded", now), Says::Success),
            };
            let Some(pause) = pause.and_then(|asked| self.pause(made, asked)) else {
                return (ended("failed", now), says);
            };
            if now + pause >= call.deadline || now + pause >= within {
                return (ended("failed", now), says);
            }
            if cancel < now + pause {
                return (ended("cancelled", cancel), Says::Nothing);
            }
            now += pause;
        }
    }

    fn within(&self) -> Option<u64> {
        self.tries?.within
    }

    /// The pause after so many attempts, if there is another.
    fn pause(&self, made: u32, asked: u64) -> Option<u64> {
        let tries = self.tries.filter(|tries| made < tries.attempts)?;
        let grown = match tries.growth {
            Growth::Constant => tries.first,
            Growth::Exponential => tries.first * 2_u64.pow(made - 1),
            Growth::Linear => tries.first * u64::from(made),
        };
        Some(grown.max(asked).min(tries.cap))
    }
}
