//! Many runs at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;

use stageflow_events::EventRecord;

use super::RunStory;

/// The stories of many runs, put together from records in whatever order they come. Holds a bounded number of them: when one
/// more comes, the one goes that ended longest ago; if none has ended, the one that was heard of first.
#[derive(Clone, Debug)]
pub struct Stories {
    most: NonZeroUsize,
    /// In the order in which they were first heard of.
    runs: BTreeMap<u64, RunStory>,
    places: HashMap<String, u64>,
    /// In the order in which they ended.
    ended: VecDeque<u64>,
    next: u64,
    evicted: u64,
    cut_short: u64,
}

impl Stories {
    /// Holds at most `most` runs.
    #[must_use]
    pub fn new(most: NonZeroUsize) -> Self {
        Self {
            most,
            runs: BTreeMap::new(),
            places: HashMap::new(),
            ended: VecDeque::new(),
            next: 0,
            evicted: 0,
            cut_short: 0,
        }
    }

    /// Those of these records.
    #[must_use]
    pub fn of<'r>(records: impl IntoIterator<Item = &'r EventRecord>, most: NonZeroUsize) -> Self {
        let mut stories = Self::new(most);
        for record in records {
            stories.add(record);
        }
        stories
    }

    /// Adds a record, and gives the story of its run as it is now. What is no event of a run, such as a sink's word about
    /// losses under no run's id, belongs to none.
    pub fn add(&mut self, record: &EventRecord) -> Option<&RunStory> {
        if record.run_id.is_empty() {
            return None;
        }
        let place = match self.places.get(&record.run_id) {
            Some(place) => *place,
            None => self.begin(record),
        };
        let run = self.runs.get_mut(&place)?;
        let was_over = run.is_over();
        run.add(record);
        if run.is_over() && !was_over {
            self.ended.push_back(place);
        }
        self.runs.get(&place)
    }

    fn begin(&mut self, record: &EventRecord) -> u64 {
        if self.runs.len() >= self.most.get() {
            self.evict();
        }
        let place = self.next;
        self.next += 1;
        self.runs.insert(place, RunStory::of(record));
        self.places.insert(record.run_id.clone(), place);
        place
    }

    fn evict(&mut self) {
        let ended = self.ended.pop_front();
        let Some(place) = ended.or_else(|| self.runs.keys().next().copied()) else {
            return;
        };
        if let Some(run) = self.runs.remove(&place) {
            self.places.remove(&run.run_id);
            self.evicted += 1;
            self.cut_short += u64::from(!run.is_over());
        }
    }

    /// The story of a run.
    #[must_use]
    pub fn get(&self, run_id: &str) -> Option<&RunStory> {
        self.runs.get(self.places.get(run_id)?)
    }

    /// Takes the story of a run out.
    pub fn take(&mut self, run_id: &str) -> Option<RunStory> {
        let place = self.places.remove(run_id)?;
        self.ended.retain(|ended| *ended != place);
        self.runs.remove(&place)
    }

    /// All of them, in the order in which they were first heard of.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &RunStory> {
        self.runs.values()
    }

    /// The runs that stages of this run started, in the order in which they were first heard of.
    pub fn children<'s>(&'s self, run_id: &'s str) -> impl Iterator<Item = &'s RunStory> {
        let is_child = move |run: &&RunStory| {
            run.parent
                .as_ref()
                .is_some_and(|above| above.run_id == run_id)
        };
        self.iter().filter(is_child)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many had to go to make room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many of those had not ended: what came of them later began a story of its own.
    #[must_use]
    pub fn cut_short(&self) -> u64 {
        self.cut_short
    }
}
