//! The model: a list of entries, looked through from the start each time.

/// What somebody was told, with holders by the order in which they began.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Mine(usize),
    Done(u64),
    Held(u64),
    Mismatch,
    Full,
}

/// The model: a list of entries, looked through from the start each time.
#[derive(Default)]
pub(super) struct Model {
    pub(super) most: usize,
    pub(super) now: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) holders: usize,
    pub(super) answers: u64,
    /// What those who wait were told, by the number of the one who waits.
    pub(super) told: Vec<(usize, Told)>,
}

pub(super) struct Entry {
    pub(super) scope: usize,
    pub(super) parameters: u8,
    pub(super) until: u64,
    pub(super) state: State,
}

pub(super) enum State {
    Done(u64),
    Held {
        holder: usize,
        queue: Vec<(usize, u64)>,
    },
}

impl Model {
    pub(super) fn tidy(&mut self) {
        let now = self.now;
        self.entries
            .retain(|entry| matches!(entry.state, State::Held { .. }) || entry.until > now);
    }

    pub(super) fn hand_over(&mut self, at: usize) {
        let (now, next) = (self.now, self.holders);
        let State::Held { holder, queue } = &mut self.entries[at].state else {
            return;
        };
        if queue.is_empty() {
            self.entries.remove(at);
            return;
        }
        let (waiter, lease) = queue.remove(0);
        *holder = next;
        self.entries[at].until = now + lease;
        self.holders += 1;
        self.told.push((waiter, Told::Mine(next)));
    }

    /// Holders that are dead, where somebody waits: those first for whom somebody has waited longest.
    pub(super) fn bury(&mut self) {
        let now = self.now;
        let first = |entry: &Entry| match &entry.state {
            State::Held { queue, .. } if entry.until <= now => queue.first().copied(),
            _ => None,
        };
        let next = |entries: &[Entry]| {
            (0..entries.len())
                .filter_map(|at| Some((first(&entries[at])?, at)))
                .min()
        };
        while let Some((_, at)) = next(&self.entries) {
            self.hand_over(at);
        }
    }

    pub(super) fn begin(&mut self, scope: usize, parameters: u8, lease: u64) -> Told {
        self.tidy();
        self.bury();
        let now = self.now;
        if let Some(at) = self.entries.iter().position(|entry| entry.scope == scope) {
            let entry = &self.entries[at];
            match &entry.state {
                _ if entry.parameters != parameters => return Told::Mismatch,
                State::Done(answer) => return Told::Done(*answer),
                State::Held { .. } if entry.until > now => return Told::Held(entry.until - now),
                State::Held { .. } => {
                    self.entries.remove(at);
                }
            }
        }
        if self.entries.len() >= self.most {
            // Entries are in the order in which they were begun, but answers go in the order in which they were given.
            let oldest = (0..self.entries.len())
                .filter_map(|at| match self.entries[at].state {
                    State::Done(answer) => Some((answer, at)),
                    State::Held { .. } => None,
                })
                .min();
            let dead = (0..self.entries.len())
                .filter_map(|at| match &self.entries[at].state {
                    State::Held { holder, queue } if queue.is_empty() => {
                        Some((self.entries[at].until, *holder, at))
                    }
                    _ => None,
                })
                .filter(|(until, ..)| *until <= now)
                .min();
            match (oldest, dead) {
                (Some((_, at)), _) | (None, Some((_, _, at))) => drop(self.entries.remove(at)),
                (None, None) => return Told::Full,
            }
        }
        let holder = self.holders;
        self.holders += 1;
        self.entries.push(Entry {
            scope,
            parameters,
            until: now + lease,
            state: State::Held {
                holder,
                queue: Vec::new(),
            },
        });
        Told::Mine(holder)
    }

    pub(super) fn wait(&mut self, who: usize, scope: usize, parameters: u8, lease: u64) {
        match self.begin(scope, parameters, lease) {
            Told::Held(_) => {
                for entry in &mut self.entries {
                    if let State::Held { queue, .. } = &mut entry.state
                        && entry.scope == scope
                    {
                        queue.push((who, lease));
                    }
                }
            }
            told => self.told.push((who, told)),
        }
    }

    pub(super) fn held_by(&self, wanted: usize) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| matches!(entry.state, State::Held { holder, .. } if holder == wanted))
    }

    pub(super) fn finish(&mut self, holder: usize, keep: Option<u64>) -> bool {
        let Some(at) = self.held_by(holder) else {
            return false;
        };
        self.answers += 1;
        let answer = self.answers;
        let until = self.now + keep.unwrap_or(0);
        let entry = &mut self.entries[at];
        entry.until = until;
        if let State::Held { queue, .. } = std::mem::replace(&mut entry.state, State::Done(answer))
        {
            for (waiter, _) in queue {
                self.told.push((waiter, Told::Done(answer)));
            }
        }
        self.tidy();
        true
    }

    pub(super) fn stop_waiting(&mut self, who: usize) {
        for entry in &mut self.entries {
            if let State::Held { queue, .. } = &mut entry.state {
                queue.retain(|(waiter, _)| *waiter != who);
            }
        }
    }
}
