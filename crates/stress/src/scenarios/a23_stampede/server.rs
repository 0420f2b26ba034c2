//! A dependency that was down, and can take so many calls a second since.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::interceptors::parse_retry_after;
use stageflow::prelude::*;
use tokio::time::{Instant, sleep};

/// So many calls a second it can take.
pub(super) const CAPACITY: usize = 50;
/// For so long it takes none.
const OUTAGE: Duration = Duration::from_secs(1);
/// What it says of when to come back: at once, nonsense, in thirty years, a little later.
const HEADERS: [&str; 5] = ["0", "-1", "1000000000", "soon", "3"];
/// What will not go away.
const FINAL: [&str; 3] = [
    "401 Unauthorized",
    "400 Bad Request",
    "413 Content Too Large",
];

/// One call, as the server saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) request: usize,
    pub(super) at: Duration,
    pub(super) answered: Duration,
    /// What it was told of when to come back, as it is to be read.
    pub(super) asked: Option<Duration>,
}

/// Knows of every call.
pub(super) struct Server {
    started: Instant,
    rng: Mutex<ChaCha8Rng>,
    arrivals: Mutex<Vec<Arrival>>,
    /// Whether its clients read what it says of when to come back.
    heard: bool,
}

impl Server {
    pub(super) fn new(rng: ChaCha8Rng, heard: bool) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            rng: Mutex::new(rng),
            arrivals: Mutex::default(),
            heard,
        })
    }

    /// Whether nothing will ever come of this request: three in ten.
    pub(super) fn is_final(request: usize) -> bool {
        request % 10 < 3
    }

    /// All calls, in the order of their arrival.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.arrivals).clone()
    }

    pub(super) async fn ask(&self, request: usize) -> Result<usize, Stop> {
        let at = self.started.elapsed();
        let (latency, header) = {
            let mut rng = lock(&self.rng);
            let header = HEADERS[rng.random_range(0..HEADERS.len())];
            (Duration::from_millis(rng.random_range(1..20)), header)
        };
        let asked = parse_retry_after(header, SystemTime::UNIX_EPOCH);
        let is_busy = at < OUTAGE || self.in_this_second(at) >= CAPACITY;
        lock(&self.arrivals).push(Arrival {
            request,
            at,
            answered: at + latency,
            asked: asked.filter(|_| is_busy),
        });
        sleep(latency).await;
        match asked {
            _ if Self::is_final(request) => Err(Stop::fail(FINAL[request % FINAL.len()])),
            _ if !is_busy => Ok(request),
            Some(asked) if self.heard => Err(Stop::retry_after(asked, "429 Too Many Requests")),
            _ => Err(Stop::transient("503 Service Unavailable")),
        }
    }

    fn in_this_second(&self, at: Duration) -> usize {
        let arrivals = lock(&self.arrivals);
        let same = |arrival: &&Arrival| arrival.at.as_secs() == at.as_secs();
        arrivals.iter().rev().take_while(same).count()
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
