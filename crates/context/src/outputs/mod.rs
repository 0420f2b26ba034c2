//! Named values that stages record beside their output: written once, read at any moment.

use std::any::{Any, type_name};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use dashmap::{DashMap, Entry};

mod error;

use error::Problem;
pub use error::{OutputConflict, OutputConflictKind, OutputTypeError};

/// A write-once map that many tasks fill at the same time. Of several writers of one key, exactly one wins, and the others
/// are told who did.
///
/// A [view](OutputBag::view) shows one moment: if a writer wrote `a` and then `b`, every view that holds `b` holds `a`.
///
/// ```
/// use std::num::NonZeroU32;
/// use stageflow_context::OutputBag;
///
/// let bag = OutputBag::new();
/// bag.put("score", "rerank", NonZeroU32::MIN, 0.75_f64)?;
/// assert_eq!(bag.get::<f64>("score").unwrap().as_deref(), Some(&0.75));
///
/// let conflict = bag.put("score", "write", NonZeroU32::MIN, 0.5_f64).unwrap_err();
/// assert_eq!(conflict.first_writer(), Some("rerank"));
/// # Ok::<(), stageflow_context::OutputConflict>(())
/// ```
pub struct OutputBag {
    /// Made by the first write: most runs record nothing.
    slots: OnceLock<DashMap<Arc<str>, Slot>>,
    taken: AtomicUsize,
    capacity: NonZeroUsize,
    /// Writers share it and a view excludes them, so that a view is one moment of the whole map.
    gate: RwLock<()>,
}

#[derive(Clone)]
struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    type_name: &'static str,
    writer: Arc<str>,
    attempt: NonZeroU32,
}

impl OutputBag {
    /// How many values a bag holds unless told otherwise.
    pub const DEFAULT_CAPACITY: NonZeroUsize = match NonZeroUsize::new(10_000) {
        Some(capacity) => capacity,
        None => NonZeroUsize::MIN,
    };

    /// An empty bag for [`OutputBag::DEFAULT_CAPACITY`] values.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// An empty bag for `capacity` values.
    #[must_use]
    pub const fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            slots: OnceLock::new(),
            taken: AtomicUsize::new(0),
            capacity,
            gate: RwLock::new(()),
        }
    }

    /// Writes `value` under `key`, in the name of `writer` and its `attempt`.
    ///
    /// # Errors
    ///
    /// [`OutputConflict`] if the key was written before (the first value stays), or if the bag is full.
    pub fn put<T: Send + Sync + 'static>(
        &self,
        key: &str,
        writer: &str,
        attempt: NonZeroU32,
        value: T,
    ) -> Result<(), OutputConflict> {
        // A refused `value` is dropped after the locks, being a parameter: its destructor may use this bag.
        let _shared = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        match self
            .slots
            .get_or_init(|| DashMap::with_shard_amount(SHARDS))
            .entry(Arc::from(key))
        {
            Entry::Occupied(first) => {
                let first = first.get();
                let taken = Problem::Taken {
                    writer: Arc::clone(&first.writer),
                    attempt: first.attempt,
                };
                Err(OutputConflict::new(key, writer, attempt, taken))
            }
            Entry::Vacant(free) => {
                if !self.reserve() {
                    return Err(OutputConflict::new(
                        key,
                        writer,
                        attempt,
                        Problem::Full(self.capacity),
                    ));
                }
                let (value, writer) = (Arc::new(value), Arc::from(writer));
                free.insert(Slot {
                    value,
                    type_name: type_name::<T>(),
                    writer,
                    attempt,
                });
                Ok(())
            }
        }
    }

    /// The value under `key`, or `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`OutputTypeError`] if the value is not a `T`.
    pub fn get<T: Send + Sync + 'static>(
        &self,
        key: &str,
    ) -> Result<Option<Arc<T>>, OutputTypeError> {
        let slot = self
            .slots
            .get()
            .and_then(|slots| slots.get(key).map(|slot| slot.clone()));
        slot.map(|slot| slot.typed(key)).transpose()
    }

    /// How many values it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values it can hold.
    #[must_use]
    pub fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    /// Everything that was written up to one moment. Later writes do not change it.
    #[must_use]
    pub fn view(&self) -> OutputView {
        let alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut slots: Vec<(Arc<str>, Slot)> = match self.slots.get() {
            None => Vec::new(),
            Some(slots) => slots
                .iter()
                .map(|slot| (Arc::clone(slot.key()), slot.value().clone()))
                .collect(),
        };
        drop(alone);
        slots.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        OutputView {
            slots: slots.into(),
        }
    }

    fn reserve(&self) -> bool {
        let next = |taken| (taken < self.capacity.get()).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
            .is_ok()
    }
}

/// Not one per core: a bag belongs to a run, and a machine with many cores must not pay for shards nobody contends for.
const SHARDS: usize = 16;

impl Default for OutputBag {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OutputBag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputBag")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn typed<T: Send + Sync + 'static>(&self, key: &str) -> Result<Arc<T>, OutputTypeError> {
        let differs = |_| OutputTypeError::new(key, &self.writer, self.type_name, type_name::<T>());
        Arc::clone(&self.value).downcast::<T>().map_err(differs)
    }
}

/// What an [`OutputBag`] held at one moment, sorted by key. Immutable, and cheap to clone.
#[derive(Clone)]
pub struct OutputView {
    slots: Arc<[(Arc<str>, Slot)]>,
}

impl OutputView {
    /// The value under `key`, or `None` if there was none.
    ///
    /// # Errors
    ///
    /// [`OutputTypeError`] if the value is not a `T`.
    pub fn get<T: Send + Sync + 'static>(
        &self,
        key: &str,
    ) -> Result<Option<Arc<T>>, OutputTypeError> {
        self.entry(key).map(|entry| entry.get()).transpose()
    }

    /// What was written under `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<OutputEntry<'_>> {
        let at = self
            .slots
            .binary_search_by(|slot| (*slot.0).cmp(key))
            .ok()?;
        self.slots.get(at).map(OutputEntry::of)
    }

    /// Everything, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = OutputEntry<'_>> + DoubleEndedIterator {
        self.slots.iter().map(OutputEntry::of)
    }

    /// How many values there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there was nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl fmt::Debug for OutputView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One value of an [`OutputView`], with who wrote it.
#[derive(Clone, Copy)]
pub struct OutputEntry<'a> {
    key: &'a str,
    slot: &'a Slot,
}

impl<'a> OutputEntry<'a> {
    fn of(slot: &'a (Arc<str>, Slot)) -> Self {
        Self {
            key: &slot.0,
            slot: &slot.1,
        }
    }

    /// Where it was written.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Who wrote it.
    #[must_use]
    pub fn writer(&self) -> &'a str {
        &self.slot.writer
    }

    /// In which attempt of the writer.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.slot.attempt
    }

    /// The name of the value's type, for people to read.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.slot.type_name
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// [`OutputTypeError`] if it is not a `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, OutputTypeError> {
        self.slot.typed(self.key)
    }
}

impl fmt::Debug for OutputEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputEntry")
            .field("key", &self.key)
            .field("writer", &self.slot.writer)
            .field("attempt", &self.slot.attempt)
            .field("type", &self.slot.type_name)
            .finish_non_exhaustive()
    }
}
