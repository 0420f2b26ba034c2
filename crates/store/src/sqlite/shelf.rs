//! What a store of files keeps for one org, as those who ask see it.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use futures_util::future::join_all;
use stageflow_context::OrgId;
use tokio::sync::{Semaphore, oneshot};

use super::files::{Files, Folder};
use super::lane::{Lane, closed};
use super::options::SqliteOptions;
use super::queue::{Job, Reply};
use super::{reader, writer};
use crate::{Class, Row, Scan, Shelf, StoreError, StoreErrorKind, Write};

/// The threads of a store.
pub(super) struct Inner {
    folder: Arc<Folder>,
    writers: Vec<Lane>,
    readers: Vec<Lane>,
    waiting: NonZeroUsize,
    gates: Mutex<HashMap<OrgId, Weak<Gate>>>,
}

/// How many calls of an org may wait.
struct Gate {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Inner {
    pub(super) fn start(folder: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let SqliteOptions {
            busy,
            check,
            files,
            readers,
            waiting,
            wall,
            writers,
        } = options;
        let folder = Arc::new(Folder::make(folder, busy, check)?);
        // An org has a file to write and one to read, however many threads there are of each kind.
        let own = |threads: NonZeroUsize| {
            let each = files.get() / 2 / threads.get();
            let each = NonZeroUsize::new(each).unwrap_or(NonZeroUsize::MIN);
            (Files::new(Arc::clone(&folder), each), Arc::clone(&wall))
        };
        let write = |number| {
            let (files, wall) = own(writers);
            let name = format!("stageflow-write-{number}");
            Lane::start(name, move |queue| writer::run(queue, files, &*wall))
        };
        let read = |number| {
            let (files, wall) = own(readers);
            let name = format!("stageflow-read-{number}");
            Lane::start(name, move |queue| reader::run(queue, files, &*wall))
        };
        let writers = (0..writers.get()).map(write).collect::<Result<_, _>>()?;
        let readers = (0..readers.get()).map(read).collect::<Result<_, _>>()?;
        Ok(Self {
            folder,
            writers,
            readers,
            waiting,
            gates: Mutex::default(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) async fn close(&self) {
        let all = || self.writers.iter().chain(&self.readers);
        all().for_each(Lane::close);
        join_all(all().map(Lane::ended)).await;
    }

    fn gate(&self, org: OrgId) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&org).and_then(Weak::upgrade) {
            return gate;
        }
        if gates.len() == gates.capacity() {
            gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let waiting = self.waiting.get().min(Semaphore::MAX_PERMITS);
        let gate = Arc::new(Gate {
            reads: Arc::new(Semaphore::new(waiting)),
            writes: Arc::new(Semaphore::new(waiting)),
        });
        gates.insert(org, Arc::downgrade(&gate));
        gate
    }
}

/// Always the same one for an org.
fn lane_of(lanes: &[Lane], org: OrgId) -> Option<&Lane> {
    let (_, random) = org.as_uuid().as_u64_pair();
    let count = u64::try_from(lanes.len()).ok()?;
    let place = random.checked_rem(count)?;
    lanes.get(usize::try_from(place).ok()?)
}

pub(super) struct SqliteShelf {
    inner: Arc<Inner>,
    org: OrgId,
    gate: Arc<Gate>,
}

impl SqliteShelf {
    pub(super) fn new(inner: Arc<Inner>, org: OrgId) -> Self {
        let gate = inner.gate(org);
        Self { inner, org, gate }
    }

    /// Opens the file, if there is one: what is wrong with it is known then.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        let (lanes, gate) = (&self.inner.writers, &self.gate.writes);
        self.ask(lanes, gate, Job::Prepare).await
    }

    async fn ask<T>(
        &self,
        lanes: &[Lane],
        gate: &Arc<Semaphore>,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(gate).acquire_owned().await;
        let place = place.map_err(|_| closed())?;
        let (tell, told) = oneshot::channel();
        let lane = lane_of(lanes, self.org).ok_or_else(closed)?;
        lane.push(self.org, job(Reply::new(tell, place)));
        told.await.map_err(|_| {
            StoreError::new(
                StoreErrorKind::Unavailable,
                "waiting for a thread that ended",
            )
        })?
    }
}

#[async_trait]
impl Shelf for SqliteShelf {
    fn org(&self) -> OrgId {
        self.org
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        Write::check(&writes)?;
        let (lanes, gate) = (&self.inner.writers, &self.gate.writes);
        let job = |reply| Job::Commit(writes, reply);
        self.ask(lanes, gate, job).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        Row::check_key(key)?;
        let (lanes, gate) = (&self.inner.readers, &self.gate.reads);
        let job = |reply| Job::Get(class, key.to_owned(), reply);
        self.ask(lanes, gate, job).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        scan.check()?;
        let (lanes, gate) = (&self.inner.readers, &self.gate.reads);
        let job = |reply| Job::Scan(scan, reply);
        self.ask(lanes, gate, job).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let (lanes, gate) = (&self.inner.writers, &self.gate.writes);
        self.ask(lanes, gate, Job::Scrub).await
    }
}

impl fmt::Debug for SqliteShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteShelf")
            .field("org", &self.org)
            .finish_non_exhaustive()
    }
}
