//! Runs under way.

use std::collections::{HashMap, VecDeque};

/// Where an attempt stands: its stage's row, and which try it is.
pub(super) type Place = (usize, u32);

/// So many attempts are followed in one run; a larger run is followed in part.
const MOST_OPEN: usize = 10_000;

#[derive(Debug)]
pub(super) struct Run {
    pub(super) pipeline: String,
    pub(super) since_us: u64,
    /// When each attempt under way started, in nanoseconds since the run did.
    pub(super) open: HashMap<Place, u64>,
    /// Which of all: a run that is heard of again after its end is another one here.
    number: u64,
}

/// The runs whose end was not seen yet, the oldest first.
#[derive(Debug)]
pub(super) struct Runs {
    known: HashMap<String, Run>,
    /// In the order in which they were first heard of; some have ended since.
    order: VecDeque<(u64, String)>,
    heard_of: u64,
    most: usize,
}

impl Runs {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            known: HashMap::new(),
            order: VecDeque::new(),
            heard_of: 0,
            most,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Run> {
        self.known.get_mut(id)
    }

    /// Adds a run; gives the oldest if there is no more room.
    pub(super) fn add(&mut self, id: &str, pipeline: String, since_us: u64) -> Option<Run> {
        let oldest = (self.known.len() >= self.most).then(|| self.take_oldest());
        let run = Run {
            pipeline,
            since_us,
            open: HashMap::new(),
            number: self.heard_of,
        };
        self.known.insert(id.to_owned(), run);
        self.order.push_back((self.heard_of, id.to_owned()));
        self.heard_of += 1;
        if self.order.len() > 2 * self.most + 16 {
            let known = &self.known;
            self.order.retain(|(number, id)| is(known, *number, id));
        }
        oldest.flatten()
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Run> {
        self.known.remove(id)
    }

    fn take_oldest(&mut self) -> Option<Run> {
        while let Some((number, id)) = self.order.pop_front() {
            if is(&self.known, number, &id) {
                return self.known.remove(&id);
            }
        }
        None
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Run)> {
        let order = self.order.iter();
        order.filter_map(|(number, id)| {
            let run = self.known.get(id).filter(|run| run.number == *number)?;
            Some((id.as_str(), run))
        })
    }
}

/// Whether this run is under way, and the same as then.
fn is(known: &HashMap<String, Run>, number: u64, id: &str) -> bool {
    known.get(id).is_some_and(|run| run.number == number)
}

impl Run {
    /// An attempt started; gives whether it is followed.
    pub(super) fn opened(&mut self, place: Place, elapsed_ns: u64) -> bool {
        if self.open.len() >= MOST_OPEN {
            return false;
        }
        self.open.insert(place, elapsed_ns);
        true
    }
}
