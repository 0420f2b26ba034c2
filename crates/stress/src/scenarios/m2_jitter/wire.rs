//! A network between those who ask and one who answers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

/// How many in a thousand answers are lost, and how many come twice.
const LOST: u32 = 10;
const TWICE: u32 = 10;

/// An answer, and which request it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Answer {
    pub(super) request: u64,
    pub(super) value: u64,
}

/// What the answer to this is.
pub(super) const fn answer_to(n: u64) -> u64 {
    n * n + 1
}

/// What became of all that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Books {
    pub(super) asked: u64,
    /// Answers on their way, copies included.
    pub(super) sent: u64,
    pub(super) delivered: u64,
    /// Answers that nobody waited for any more.
    pub(super) discarded: u64,
    /// Those who went away without an answer.
    pub(super) gone: u64,
    /// How much longer than the limit these waited, together.
    pub(super) late: Duration,
}

/// Answers come after a while: in another order, twice, or not at all.
pub(super) struct Wire {
    state: Mutex<State>,
    wake: Notify,
    limit: Duration,
    scale: u32,
    /// Whether answers are told apart by the item they are for, and not by the request.
    by_item: bool,
}

struct State {
    rng: ChaCha8Rng,
    flying: BinaryHeap<Reverse<(Instant, u64, Answer)>>,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    books: Books,
}

impl Wire {
    /// A network that is so many times faster than the real one.
    pub(super) fn new(rng: ChaCha8Rng, scale: u32, by_item: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                rng,
                flying: BinaryHeap::new(),
                waiting: HashMap::new(),
                books: Books::default(),
            }),
            wake: Notify::new(),
            limit: Duration::from_secs(1) / scale,
            scale,
            by_item,
        })
    }

    /// How long those who ask wait.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn books(&self) -> Books {
        self.lock().books
    }

    /// Asks, and waits for the answer. The number of the request comes with it.
    pub(super) async fn ask(&self, n: u64) -> Option<(u64, Answer)> {
        let (sender, receiver) = oneshot::channel();
        let (token, request) = self.send(n, sender);
        let mut waits = Waits {
            wire: self,
            token: Some(token),
            since: Instant::now(),
        };
        let answer = receiver.await.ok()?;
        waits.token = None;
        Some((request, answer))
    }

    fn send(&self, n: u64, sender: oneshot::Sender<Answer>) -> (u64, u64) {
        let mut state = self.lock();
        let request = state.books.asked;
        let token = if self.by_item { n } else { request };
        state.books.asked += 1;
        state.waiting.insert(token, sender);
        let copies = match state.rng.random_range(0..1000) {
            dice if dice < LOST => 0,
            dice if dice < LOST + TWICE => 2,
            _ => 1,
        };
        for _ in 0..copies {
            // 600 ms and up to 500 more or less, and never what the limit is.
            let millis = 101 + 2 * state.rng.random_range(0..500);
            let at = Instant::now() + Duration::from_millis(millis) / self.scale;
            state.books.sent += 1;
            state.flying.push(Reverse((
                at,
                token,
                Answer {
                    request,
                    value: answer_to(n),
                },
            )));
        }
        drop(state);
        self.wake.notify_one();
        (token, request)
    }

    /// Delivers, for as long as somebody asks; then what is still on its way.
    pub(super) async fn deliver_while<T>(&self, asking: impl Future<Output = T>) -> T {
        let mut asking = std::pin::pin!(asking);
        let done = loop {
            let next = self.deliver();
            tokio::select! {
                biased;
                () = until(next) => {}
                () = self.wake.notified() => {}
                done = &mut asking => break done,
            }
        };
        while let Some(next) = self.deliver() {
            sleep_until(next).await;
        }
        done
    }

    /// Delivers what is due. When the next one is.
    fn deliver(&self) -> Option<Instant> {
        let mut state = self.lock();
        while let Some(Reverse((at, token, answer))) = state.flying.peek().copied() {
            if at > Instant::now() {
                return Some(at);
            }
            state.flying.pop();
            let taken = state
                .waiting
                .remove(&token)
                .is_some_and(|waits| waits.send(answer).is_ok());
            match taken {
                true => state.books.delivered += 1,
                false => state.books.discarded += 1,
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Somebody who waits for an answer, and may go away before it comes.
struct Waits<'w> {
    wire: &'w Wire,
    token: Option<u64>,
    since: Instant,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let mut state = self.wire.lock();
            state.waiting.remove(&token);
            state.books.gone += 1;
            state.books.late += self.since.elapsed().saturating_sub(self.wire.limit);
        }
    }
}
