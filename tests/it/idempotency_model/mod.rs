//! The store in memory against a model that is as plain as can be.

mod model;

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
    Asker, Begun, Finished, KeepFor, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::prelude::*;
use stageflow_testkit::{Property, paused};
use tokio::time::advance;

use self::model::{Model, State, Told};

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

fn asker(parameters: u8) -> Asker {
    let known = (parameters > 0).then(|| Fingerprint::from_bytes([parameters; 32]));
    Asker::new().with_parameters(known)
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
            let begun = store
                .begin(&scope(at), &asker(parameters), secs(lease))
                .await;
            let told = real.told(at, begun);
            prop_assert_eq!(told, model.begin(at, parameters, lease));
        }
        Do::Wait {
            scope: at,
            parameters,
            lease,
        } => {
            let (scope, asker) = (scope(at), asker(parameters));
            let waiter = async move { store.wait(&scope, &asker, secs(lease)).await };
            real.waiters.push((who, at, Box::pin(waiter)));
            model.wait(who, at, parameters, lease);
        }
        Do::StopWaiting(which) if !real.waiters.is_empty() => {
            let (who, ..) = real.waiters.remove(which % real.waiters.len());
            model.stop_waiting(who);
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
        let begun = store
            .begin(&scope, &Asker::new(), Duration::MAX)
            .await
            .unwrap();
        let Begun::Mine(token) = begun else {
            panic!("{begun:?}")
        };
        store.renew(&scope, token, Duration::MAX).await.unwrap();
        let kept = Kept::Skipped("nothing".into());
        let keep = KeepFor::Time(Duration::MAX);
        store.finish(&scope, token, kept, keep).await.unwrap();
        let begun = store
            .begin(&scope, &Asker::new(), Duration::MAX)
            .await
            .unwrap();
        assert!(matches!(begun, Begun::Done(Kept::Skipped(_))));
    });
}
