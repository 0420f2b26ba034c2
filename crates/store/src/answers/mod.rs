//! Answers under the keys of requests, kept.

mod entry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stageflow_context::{SystemClock, WallClock};
use stageflow_interceptors::idempotency::{
    Asker, Begun, Finished, IdempotencyStore, KeepFor, Kept, Renewed, Scope,
    StoreError as AnswerError, Token,
};

use self::entry::{Entry, State};
use crate::seen::Shelves;
use crate::time::millis;
use crate::{Class, Row, SeenTenants, Shelf, Store, StoreError, StoreErrorKind, Write, body};

/// How often somebody else may be faster, before it is too busy.
const ROUNDS: usize = 32;

/// For how long it is remembered how great the last token was of what was let go: a day.
const REMEMBER: u64 = 24 * 60 * 60 * 1_000;

/// Keeps answers in a store, each under the org of its run: for engines of several processes, and across restarts. Work whose
/// run is for nobody is refused; what one org has asked for, no other one is given.
///
/// Leases are by wall time, in milliseconds: what shares a store should not differ by more than a part of a lease. An answer
/// is a row until its time is over, and about the user whose run has given it: it is erased with them. Those who wait ask again and again, from 5 ms up to half a second apart; work whose holder
/// was dropped is free when its lease has run out. A clone is the same store.
#[derive(Clone)]
pub struct StoredAnswers(Arc<Inner>);

struct Inner {
    shelves: Shelves,
    seen: SeenTenants,
    wall: Arc<dyn WallClock>,
}

impl StoredAnswers {
    /// In this store, for the tenants that are seen: give a clone of `seen` to the engine as a layer.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, seen: &SeenTenants) -> Self {
        Self::by(store, seen, SystemClock::new())
    }

    /// The same, by this clock.
    #[must_use]
    pub fn by(store: Arc<dyn Store>, seen: &SeenTenants, wall: impl WallClock + 'static) -> Self {
        Self(Arc::new(Inner {
            shelves: Shelves::new(store),
            seen: seen.clone(),
            wall: Arc::new(wall),
        }))
    }

    /// Looks at what is there and says what to do, until nobody was faster.
    async fn change<T>(
        &self,
        scope: &Scope,
        step: impl Fn(Option<Entry>, u64) -> Step<T> + Send + Sync,
    ) -> Result<T, AnswerError>
    where
        T: Send,
    {
        let shelf = self.0.shelves.of_seen(&self.0.seen, scope.org()).await;
        let shelf = shelf.map_err(trouble)?;
        let key = scope
            .digest()
            .map_err(AnswerError::unavailable)?
            .to_string();
        for _ in 0..ROUNDS {
            let now = millis(&*self.0.wall);
            let row = shelf.get(Class::Answers, &key).await.map_err(trouble)?;
            let entry = row.as_ref().map(read).transpose().map_err(trouble)?;
            let (entry, answer) = match step(entry, now) {
                Step::Leave(answer) => return Ok(answer),
                Step::Write(entry, answer) => (entry, answer),
            };
            let seen = row.map(|row| row.version);
            let next = Next {
                key: &key,
                entry: &entry,
                now,
            };
            if next.write(&*shelf, seen).await.map_err(trouble)? {
                return Ok(answer);
            }
        }
        let busy = StoreError::new(StoreErrorKind::TooBusy, "writing an answer");
        Err(AnswerError::unavailable(busy))
    }
}

/// What is to be done about an entry.
enum Step<T> {
    /// Nothing.
    Leave(T),
    /// It is this from now on, if nobody was faster.
    Write(Entry, T),
}

struct Next<'a> {
    key: &'a str,
    entry: &'a Entry,
    now: u64,
}

impl Next<'_> {
    async fn write(&self, shelf: &dyn Shelf, seen: Option<u64>) -> Result<bool, StoreError> {
        let until = self.entry.until(self.now, REMEMBER);
        let row = Row::new(self.key, self.now, body::written(self.entry)?).until(until);
        let row = row.about(self.entry.user);
        let class = Class::Answers;
        let write = match seen {
            Some(seen) => Write::Swap { class, row, seen },
            None => Write::Insert { class, row },
        };
        shelf.commit(vec![write]).await
    }
}

fn read(row: &Row) -> Result<Entry, StoreError> {
    let entry: Entry = body::read(row)?;
    let user = row.user;
    Ok(Entry { user, ..entry })
}

/// Whether somebody is at work under this row's key at this time, in milliseconds since 1970.
pub(crate) fn is_under_way(row: &Row, now: u64) -> bool {
    let state = read(row).map(|entry| entry.state);
    matches!(state, Ok(State::Held { until }) if until > now)
}

fn trouble(error: StoreError) -> AnswerError {
    match error.kind() {
        StoreErrorKind::Corrupt => AnswerError::unreadable(error),
        _ => AnswerError::unavailable(error),
    }
}

#[async_trait]
impl IdempotencyStore for StoredAnswers {
    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, AnswerError> {
        let begin = |entry: Option<Entry>, now| {
            let last = entry.as_ref().map(|entry| entry.token);
            let is_same = entry
                .as_ref()
                .is_none_or(|entry| entry.parameters == asker.parameters);
            match entry.map(|entry| entry.state) {
                Some(State::Held { until }) if until > now => match is_same {
                    true => Step::Leave(Ok(Begun::Held(Duration::from_millis(until - now)))),
                    false => Step::Leave(Ok(Begun::Mismatch)),
                },
                Some(State::Done { .. }) if !is_same => Step::Leave(Ok(Begun::Mismatch)),
                Some(State::Done { answer, .. }) => Step::Leave(answer.kept().map(Begun::Done)),
                Some(State::Free | State::Held { .. }) | None => {
                    let token = entry::token_after(last, now);
                    let entry = Entry::begun(token, asker, now, lease);
                    Step::Write(entry, Ok(Begun::Mine(Token::new(token))))
                }
            }
        };
        self.change(scope, begin).await?
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, AnswerError> {
        let renew = |entry: Option<Entry>, now| match entry {
            Some(entry) if entry.is_held_by(token) => {
                Step::Write(entry.renewed(now, lease), Renewed::Yes)
            }
            _ => Step::Leave(Renewed::Lost),
        };
        self.change(scope, renew).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, AnswerError> {
        let answer = kept.to_bytes()?;
        let finish = |entry: Option<Entry>, now| match entry {
            Some(entry) if entry.is_held_by(token) => {
                let next = match keep {
                    KeepFor::Time(ttl) if !ttl.is_zero() => entry.done(&answer, now, ttl),
                    // Who waits is not known here.
                    _ => entry.free(),
                };
                Step::Write(next, Finished::Kept)
            }
            _ => Step::Leave(Finished::Lost),
        };
        self.change(scope, finish).await
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), AnswerError> {
        let release = |entry: Option<Entry>, _| match entry {
            Some(entry) if entry.is_held_by(token) => Step::Write(entry.free(), ()),
            _ => Step::Leave(()),
        };
        self.change(scope, release).await
    }
}

impl fmt::Debug for StoredAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAnswers")
            .field("seen", &self.0.seen)
            .finish_non_exhaustive()
    }
}
