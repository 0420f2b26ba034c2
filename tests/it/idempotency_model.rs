//! The store in memory against a model that is as plain as can be.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use proptest::collection::vec;
use proptest::prelude::*;
use stageflow::context::{DynValue, Fingerprint};
use stageflow::interceptors::IdempotencyStore as _;
use stageflow::interceptors::idempotency::{
    Begun, Finished, KeepFor, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::prelude::*;
use stageflow_testkit::{Property, paused};
use tokio::time::advance;

/// What is done to the store. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Do {
    Begin {
        scope: usize,
        parameters: u8,
        lease: u64,
    },
    Wait {
        scope: usize,
        parameters: u8,
        lease: u64,
    },
    StopWaiting(usize),
    Renew {
        holder: usize,
        lease: u64,
    },
    Finish {
        holder: usize,
        keep: Option<u64>,
    },
    Release(usize),
    Pass(u64),
}

fn doing() -> impl Strategy<Value = Do> {
    let (scope, parameters) = (0..5_usize, prop::sample::select(vec![0_u8, 0, 0, 1, 2]));
    let lease = 1..8_u64;
    prop_oneof![
        4 => (scope.clone(), parameters.clone(), lease.clone())
            .prop_map(|(scope, parameters, lease)| Do::Begin { scope, parameters, lease }),
        4 => (scope, parameters, lease.clone())
            .prop_map(|(scope, parameters, lease)| Do::Wait { scope, parameters, lease }),
        1 => any::<usize>().prop_map(Do::StopWaiting),
        1 => (any::<usize>(), lease).prop_map(|(holder, lease)| Do::Renew { holder, lease }),
        2 => (any::<usize>(), prop::option::of(0..12_u64))
            .prop_map(|(holder, keep)| Do::Finish { holder, keep }),
        2 => any::<usize>().prop_map(Do::Release),
        3 => (0..5_u64).prop_map(Do::Pass),
    ]
}

/// What somebody was told, with holders by the order in which they began.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Mine(usize),
    Done(u64),
    Held(u64),
    Mismatch,
    Full,
}

/// The model: a list of entries, looked through from the start each time.
#[derive(Default)]
struct Model {
    most: usize,
    now: u64,
    entries: Vec<Entry>,
    holders: usize,
    answers: u64,
    /// What those who wait were told, by the number of the one who waits.
    told: Vec<(usize, Told)>,
}

struct Entry {
    scope: usize,
    parameters: u8,
    until: u64,
    state: State,
}

enum State {
    Done(u64),
    Held {
        holder: usize,
        queue: Vec<(usize, u64)>,
    },
}

impl Model {
    fn tidy(&mut self) {
        let now = self.now;
        self.entries
            .retain(|entry| matches!(entry.state, State::Held { .. }) || entry.until > now);
    }

    fn hand_over(&mut self, at: usize) {
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
    fn bury(&mut self) {
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

    fn begin(&mut self, scope: usize, parameters: u8, lease: u64) -> Told {
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

    fn wait(&mut self, who: usize, scope: usize, parameters: u8, lease: u64) {
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

    fn held_by(&self, wanted: usize) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| matches!(entry.state, State::Held { holder, .. } if holder == wanted))
    }

    fn finish(&mut self, holder: usize, keep: Option<u64>) -> bool {
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

    fn stop_waiting(&mut self, who: usize) {
        for entry in &mut self.entries {
            if let State::Held { queue, .. } = &mut entry.state {
                queue.retain(|(waiter, _)| *waiter != who);
            }
        }
    }
}

type Waiter = Pin<Box<dyn Future<Output = Result<Begun, StoreError>>>>;

/// The store, and who does what with it.
struct Real {
    store: MemoryIdempotencyStore,
    /// The holders in the order in which they began, with their scope.
    holders: Vec<(usize, Token)>,
    waiters: Vec<(usize, usize, Waiter)>,
    told: Vec<(usize, Told)>,
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn scope(number: usize) -> Scope {
    let key = format!("key-{number}").parse().unwrap();
    Scope::new("model", "pay".parse().unwrap(), key)
}

fn fingerprint(parameters: u8) -> Option<Fingerprint> {
    (parameters > 0).then(|| Fingerprint::from_bytes([parameters; 32]))
}

impl Real {
    fn told(&mut self, scope: usize, begun: Result<Begun, StoreError>) -> Told {
        match begun {
            Ok(Begun::Mine(token)) => {
                self.holders.push((scope, token));
                Told::Mine(self.holders.len() - 1)
            }
            Ok(Begun::Done(Kept::Value(value))) => Told::Done(*value.downcast_ref().unwrap()),
            Ok(Begun::Held(rest)) => Told::Held(rest.as_secs()),
            Ok(Begun::Mismatch) => Told::Mismatch,
            Err(error) if error.code() == "SF0702" => Told::Full,
            other => panic!("{other:?}"),
        }
    }

    /// Everybody who waits looks; they are told in the order of their tickets.
    async fn look(&mut self) {
        // Twice: the first to look may give somebody else the work.
        for _ in 0..2 {
            let mut waiting = Vec::new();
            for (who, scope, mut waiter) in std::mem::take(&mut self.waiters) {
                match poll!(&mut waiter) {
                    Poll::Pending => waiting.push((who, scope, waiter)),
                    Poll::Ready(begun) => {
                        let told = self.told(scope, begun);
                        self.told.push((who, told));
                    }
                }
            }
            self.waiters = waiting;
        }
    }
}

async fn one(
    real: &mut Real,
    model: &mut Model,
    who: usize,
    what: &Do,
) -> Result<(), TestCaseError> {
    let store = real.store.clone();
    match *what {
        Do::Begin {
            scope: at,
            parameters,
            lease,
        } => {
            let print = fingerprint(parameters);
            let begun = store.begin(&scope(at), print.as_ref(), secs(lease)).await;
            let told = real.told(at, begun);
            prop_assert_eq!(told, model.begin(at, parameters, lease));
        }
        Do::Wait {
            scope: at,
            parameters,
            lease,
        } => {
            let (scope, print) = (scope(at), fingerprint(parameters));
            let waiter = async move { store.wait(&scope, print.as_ref(), secs(lease)).await };
            real.waiters.push((who, at, Box::pin(waiter)));
            model.wait(who, at, parameters, lease);
        }
        Do::StopWaiting(which) => {
            if !real.waiters.is_empty() {
                let (who, ..) = real.waiters.remove(which % real.waiters.len());
                model.stop_waiting(who);
            }
        }
        Do::Renew { holder, lease } if !real.holders.is_empty() => {
            let number = holder % real.holders.len();
            let (at, token) = real.holders[number];
            let renewed = store.renew(&scope(at), token, secs(lease)).await.unwrap();
            let held = model.held_by(number);
            if let Some(entry) = held {
                model.entries[entry].until = model.now + lease;
            }
            prop_assert_eq!(renewed == Renewed::Yes, held.is_some());
        }
        Do::Finish { holder, keep } if !real.holders.is_empty() => {
            let number = holder % real.holders.len();
            let (at, token) = real.holders[number];
            let kept = Kept::Value(DynValue::new(model.answers + 1));
            let how_long = keep.map_or(KeepFor::Waiters, |keep| KeepFor::Time(secs(keep)));
            let finished = store
                .finish(&scope(at), token, kept, how_long)
                .await
                .unwrap();
            prop_assert_eq!(finished == Finished::Kept, model.finish(number, keep));
        }
        Do::Release(holder) if !real.holders.is_empty() => {
            let number = holder % real.holders.len();
            let (at, token) = real.holders[number];
            store.release(&scope(at), token).await.unwrap();
            if let Some(entry) = model.held_by(number) {
                model.hand_over(entry);
            }
        }
        Do::Pass(seconds) => {
            advance(secs(seconds)).await;
            model.now += seconds;
            model.bury();
        }
        _ => {}
    }
    real.look().await;
    Ok(())
}

async fn all(most: usize, todo: Vec<Do>) -> Result<(), TestCaseError> {
    let capacity = NonZeroUsize::new(most).unwrap();
    let mut real = Real {
        store: MemoryIdempotencyStore::with_capacity(capacity),
        holders: Vec::new(),
        waiters: Vec::new(),
        told: Vec::new(),
    };
    let mut model = Model {
        most,
        ..Model::default()
    };
    for (who, what) in todo.iter().enumerate() {
        one(&mut real, &mut model, who, what).await?;
        let mut told = (
            std::mem::take(&mut real.told),
            std::mem::take(&mut model.told),
        );
        told.0.sort_by_key(|(who, _)| *who);
        told.1.sort_by_key(|(who, _)| *who);
        prop_assert_eq!(&told.0, &told.1, "after {:?}", what);
        prop_assert!(real.store.len() <= most);
        prop_assert_eq!(real.store.waiting(), real.waiters.len());
        let held = model
            .entries
            .iter()
            .filter(|e| matches!(e.state, State::Held { .. }))
            .count();
        prop_assert_eq!(real.store.held(), held, "after {:?}", what);
    }
    for scope in 0..5 {
        let of = real.holders.iter().filter(|(at, _)| *at == scope);
        let tokens: Vec<Token> = of.map(|(_, token)| *token).collect();
        prop_assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    }
    drop(real.waiters);
    prop_assert_eq!(real.store.waiting(), 0);
    Ok(())
}

#[test]
fn the_store_in_memory_does_what_the_model_does() {
    let cases = (1..5_usize, vec(doing(), 1..80));
    Property::new("the store in memory does what the model does")
        .cases(400)
        .holds_for(&cases, |(most, todo)| paused(all(most, todo)));
}

/// The longest time there is does no harm.
#[test]
fn times_may_be_as_long_as_they_can_be() {
    paused(async {
        let store = MemoryIdempotencyStore::new();
        let scope = scope(0);
        let begun = store.begin(&scope, None, Duration::MAX).await.unwrap();
        let Begun::Mine(token) = begun else {
            panic!("{begun:?}")
        };
        store.renew(&scope, token, Duration::MAX).await.unwrap();
        let kept = Kept::Skipped("nothing".into());
        let keep = KeepFor::Time(Duration::MAX);
        store.finish(&scope, token, kept, keep).await.unwrap();
        let begun = store.begin(&scope, None, Duration::MAX).await.unwrap();
        assert!(matches!(begun, Begun::Done(Kept::Skipped(_))));
    });
}
