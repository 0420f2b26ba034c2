//! One round: a bag, its writers' ledger, and what readers saw. The breaks are made here, between the scenario and the bag.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stageflow::context::{OutputBag, OutputConflict, OutputView};

use crate::Seed;
use crate::harness::witness::Witness;

pub(super) const WRITERS: usize = 50;
pub(super) const ITERATIONS: usize = 10;
/// The key that all of them want.
pub(super) const SHARED: &str = "shared";

/// What a writer writes: its parts must fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    writer: usize,
    iteration: usize,
    round: u64,
    seal: u64,
}

impl Sealed {
    pub(super) fn new(writer: usize, iteration: usize, round: u64) -> Self {
        let seal = Seed::new(round)
            .child((writer * ITERATIONS + iteration) as u64)
            .get();
        Self {
            writer,
            iteration,
            round,
            seal,
        }
    }
}

/// Names and counters for all rounds.
pub(super) struct Common {
    pub(super) witness: Witness,
    pub(super) writers: Vec<String>,
    keys: Vec<String>,
    writes: AtomicU64,
    conflicts: AtomicU64,
}

impl Common {
    pub(super) fn new(witness: Witness) -> Self {
        let key = |at: usize| format!("w{:02}.{}", at / ITERATIONS, at % ITERATIONS);
        Self {
            witness,
            writers: (0..WRITERS)
                .map(|writer| format!("writer-{writer}"))
                .collect(),
            keys: (0..WRITERS * ITERATIONS).map(key).collect(),
            writes: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
        }
    }

    pub(super) fn key(&self, writer: usize, iteration: usize) -> &str {
        &self.keys[writer * ITERATIONS + iteration]
    }

    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn is_nth(&self, name: &str, counter: &AtomicU64, every: u64) -> bool {
        counter.fetch_add(1, Ordering::Relaxed) % every == every - 1 && self.witness.is_broken(name)
    }
}

/// What a reader saw: how many iterations of each writer, between two ticks of the round's clock.
pub(super) struct Cut {
    pub(super) reader: usize,
    pub(super) begun: u64,
    pub(super) done: u64,
    pub(super) lengths: [u8; WRITERS],
}

/// What came of a writer's attempt at the key that all want.
pub(super) struct Claim {
    pub(super) writer: usize,
    pub(super) refused: Option<OutputConflict>,
}

pub(super) struct Round {
    pub(super) number: u64,
    pub(super) bag: OutputBag,
    clock: AtomicU64,
    started: Vec<AtomicU64>,
    ended: Vec<AtomicU64>,
    writing: AtomicUsize,
    closed: AtomicBool,
    cuts: Mutex<Vec<Cut>>,
    claims: Mutex<Vec<Claim>>,
}

impl Round {
    pub(super) fn new(number: u64) -> Self {
        let ticks = || {
            (0..WRITERS * ITERATIONS)
                .map(|_| AtomicU64::new(0))
                .collect()
        };
        Self {
            number,
            bag: OutputBag::new(),
            clock: AtomicU64::new(1),
            started: ticks(),
            ended: ticks(),
            writing: AtomicUsize::new(WRITERS),
            closed: AtomicBool::new(false),
            cuts: Mutex::default(),
            claims: Mutex::default(),
        }
    }

    /// When a write began and was done, in ticks; 0 if it did not.
    pub(super) fn ticks(&self, writer: usize, iteration: usize) -> (u64, u64) {
        let at = writer * ITERATIONS + iteration;
        (
            self.started[at].load(Ordering::SeqCst),
            self.ended[at].load(Ordering::SeqCst),
        )
    }

    pub(super) fn attempt(writer: usize) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(writer as u32 % 7)
    }

    /// One iteration of one writer, with its ticks.
    pub(super) fn write(&self, common: &Common, writer: usize, iteration: usize) {
        let at = writer * ITERATIONS + iteration;
        let key = common.key(writer, iteration);
        self.started[at].store(self.tick(), Ordering::SeqCst);
        let value = Sealed::new(writer, iteration, self.number);
        let (name, attempt) = (&common.writers[writer], Self::attempt(writer));
        let written = if common.is_nth("lost-write", &common.writes, 100_000) {
            Ok(())
        } else {
            self.bag.put(key, name, attempt, value)
        };
        if common.witness.is_broken("written-twice") && common.writes().is_multiple_of(50_000) {
            // Whether it is taken does not matter: the check is on what is there.
            let _again = self.bag.put(&format!("{key}'"), name, attempt, value);
        }
        self.ended[at].store(self.tick(), Ordering::SeqCst);
        if let Err(conflict) = written {
            common.witness.check(
                false,
                "a key of one's own is free",
                crate::Breach::WrongStatus,
                || conflict.to_string(),
            );
        }
    }

    /// The last thing a writer does: it tries for the key that all want.
    pub(super) fn claim(&self, common: &Common, writer: usize) {
        let value = Sealed::new(writer, ITERATIONS, self.number);
        let name = &common.writers[writer];
        let mut refused = self
            .bag
            .put(SHARED, name, Self::attempt(writer), value)
            .err();
        if refused.is_some() && common.is_nth("last-writer-wins", &common.conflicts, 5000) {
            refused = None;
        }
        lock(&self.claims).push(Claim { writer, refused });
        if self.writing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.closed.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Looks at everything once.
    pub(super) fn read(&self, common: &Common, reader: usize) {
        let begun = self.tick();
        let lengths = if common.witness.is_broken("unlocked-view") {
            self.walk(common)
        } else {
            self.lengths(common, &self.bag.view())
        };
        let done = self.tick();
        lock(&self.cuts).push(Cut {
            reader,
            begun,
            done,
            lengths,
        });
    }

    /// A view as a broken bag would give it: key after key, with other things in between.
    fn walk(&self, common: &Common) -> [u8; WRITERS] {
        let mut lengths = [0; WRITERS];
        for (writer, length) in lengths.iter_mut().enumerate() {
            let there = |iteration: &usize| {
                let value = self.bag.get::<Sealed>(common.key(writer, *iteration));
                matches!(value, Ok(Some(_)))
            };
            *length = (0..ITERATIONS).take_while(there).count() as u8;
            std::thread::yield_now();
        }
        lengths
    }

    /// How far each writer has come, by a view; every value must be whole, and no iteration left out.
    fn lengths(&self, common: &Common, view: &OutputView) -> [u8; WRITERS] {
        let mut lengths = [0; WRITERS];
        let mut others = 0;
        for entry in view.iter() {
            let place = entry
                .key()
                .strip_prefix('w')
                .and_then(|key| key.split_once('.'));
            let place = place.and_then(|(writer, iteration)| {
                Some((
                    writer.parse::<usize>().ok()?,
                    iteration.parse::<usize>().ok()?,
                ))
            });
            let Some((writer, iteration)) = place.filter(|(writer, _)| *writer < WRITERS) else {
                others += usize::from(entry.key() != SHARED);
                continue;
            };
            let expected = Sealed::new(writer, iteration, self.number);
            common.witness.check(
                entry.get::<Sealed>().is_ok_and(|value| *value == expected)
                    && entry.writer() == common.writers[writer]
                    && entry.attempt() == Self::attempt(writer),
                "a value is seen whole, with who wrote it",
                crate::Breach::WrongStatus,
                || format!("{entry:?} should be {expected:?}"),
            );
            // Sorted by key, so a writer's iterations come one after the other.
            common.witness.check(
                usize::from(lengths[writer]) == iteration,
                "a view leaves nothing out",
                crate::Breach::Lost,
                || {
                    format!(
                        "{} is there, and what its writer wrote before it is not",
                        entry.key()
                    )
                },
            );
            lengths[writer] += 1;
        }
        common.witness.check(
            others == 0,
            "nothing is there that nobody wrote",
            crate::Breach::Duplicated,
            || format!("{others} keys too many: {view:?}"),
        );
        lengths
    }

    pub(super) fn cuts(&self) -> MutexGuard<'_, Vec<Cut>> {
        lock(&self.cuts)
    }

    pub(super) fn claims(&self) -> MutexGuard<'_, Vec<Claim>> {
        lock(&self.claims)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
