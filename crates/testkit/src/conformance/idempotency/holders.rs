//! Who has the work.

use futures_util::future::{join, join_all};
use stageflow_interceptors::IdempotencyStore;
use stageflow_interceptors::idempotency::{Asker, Begun, Finished, KeepFor, Renewed};
use tokio::time::{sleep, timeout};

use super::common::{
    Found, LEASE, NEVER, answer, begin, expect, finish, mine, of, scope, text, told,
};

pub(super) async fn one_holder(store: &impl IdempotencyStore) -> Found {
    let scope = scope("one-holder")?;
    let all = join_all((0..64).map(|_| begin(store, &scope))).await;
    let mut holders = 0;
    for begun in all {
        match begun? {
            Begun::Mine(_) => holders += 1,
            Begun::Held(rest) => expect("`begin`", &rest, rest <= LEASE)?,
            other => return Err(format!("`begin` gave {other:?}")),
        }
    }
    expect(
        "64 calls of `begin`, so many holders:",
        &holders,
        holders == 1,
    )
}

pub(super) async fn released(store: &impl IdempotencyStore) -> Found {
    let scope = scope("released")?;
    let mut last = mine(store, &scope).await?;
    for parameters in 0..3 {
        store.release(&scope, last).await.map_err(text)?;
        // Twice does no harm.
        store.release(&scope, last).await.map_err(text)?;
        let asker = Asker::new().with_parameters(of(parameters)?);
        let begun = store.begin(&scope, &asker, LEASE).await;
        match begun.map_err(text)? {
            Begun::Mine(token) if token > last => last = token,
            other => {
                return Err(format!(
                    "after {last:?} was released, `begin` gave {other:?}"
                ));
            }
        }
    }
    Ok(())
}

pub(super) async fn waiting(store: &impl IdempotencyStore) -> Found {
    let scope = scope("waiting")?;
    let token = mine(store, &scope).await?;
    let nobody = Asker::new();
    let waiters = join_all((0..8).map(|_| store.wait(&scope, &nobody, LEASE)));
    let holder = async {
        sleep(LEASE / 10).await;
        finish(store, &scope, token, answer(store, 3)).await
    };
    let (waiters, finished) = join(waiters, holder).await;
    finished?;
    for begun in waiters {
        let begun = begun.map_err(text)?;
        let holds = matches!(&begun, Begun::Done(kept) if told(kept) == told(&answer(store, 3)));
        expect("`wait`", &begun, holds)?;
    }
    Ok(())
}

pub(super) async fn handed_over(store: &impl IdempotencyStore) -> Found {
    let scope = scope("handed-over")?;
    let token = mine(store, &scope).await?;
    let waiter = async || match store
        .wait(&scope, &Asker::new(), LEASE)
        .await
        .map_err(text)?
    {
        Begun::Mine(next) => {
            expect("the next token", &next, next > token)?;
            sleep(LEASE / 10).await;
            finish(store, &scope, next, answer(store, 4)).await?;
            Ok::<_, String>((1, None))
        }
        Begun::Done(kept) => Ok((0, Some(told(&kept)))),
        other => Err(format!("`wait` gave {other:?}")),
    };
    let waiters = join_all((0..8).map(|_| waiter()));
    let holder = async {
        sleep(LEASE / 10).await;
        store.release(&scope, token).await.map_err(text)
    };
    let (waiters, let_go) = join(waiters, holder).await;
    let_go?;
    let mut holders = 0;
    for waiter in waiters {
        let (held, got) = waiter?;
        holders += held;
        let right = got
            .as_ref()
            .is_none_or(|got| *got == told(&answer(store, 4)));
        expect("`wait`", &got, right)?;
    }
    expect("8 who wait, so many took over:", &holders, holders == 1)
}

pub(super) async fn stopped_waiting(store: &impl IdempotencyStore) -> Found {
    let scope = scope("stopped-waiting")?;
    let token = mine(store, &scope).await?;
    let nobody = Asker::new();
    let impatient =
        join_all((0..8).map(|_| timeout(LEASE / 4, store.wait(&scope, &nobody, LEASE))));
    let _stopped = impatient.await;
    store.release(&scope, token).await.map_err(text)?;
    let begun = store
        .wait(&scope, &Asker::new(), LEASE)
        .await
        .map_err(text)?;
    expect("`wait`", &begun, matches!(begun, Begun::Mine(_)))
}

pub(super) async fn alive(store: &impl IdempotencyStore) -> Found {
    let scope = scope("alive")?;
    let token = mine(store, &scope).await?;
    for _ in 0..6 {
        sleep(LEASE / 3).await;
        let renewed = store.renew(&scope, token, LEASE).await.map_err(text)?;
        expect("`renew`", &renewed, renewed == Renewed::Yes)?;
        let begun = begin(store, &scope).await?;
        expect("`begin`", &begun, matches!(begun, Begun::Held(_)))?;
    }
    finish(store, &scope, token, answer(store, 5)).await
}

pub(super) async fn dead(store: &impl IdempotencyStore) -> Found {
    let scope = scope("dead")?;
    let old = mine(store, &scope).await?;
    let new = match store
        .wait(&scope, &Asker::new(), LEASE)
        .await
        .map_err(text)?
    {
        Begun::Mine(new) if new > old => new,
        other => return Err(format!("after {old:?} was silent, `wait` gave {other:?}")),
    };
    let renewed = store.renew(&scope, old, LEASE).await.map_err(text)?;
    expect("`renew` of the dead", &renewed, renewed == Renewed::Lost)?;
    store.release(&scope, old).await.map_err(text)?;
    store.abandon(&scope, old);
    let keep = KeepFor::Time(NEVER);
    let finished = store.finish(&scope, old, answer(store, 1), keep).await;
    let finished = finished.map_err(text)?;
    expect(
        "`finish` of the dead",
        &finished,
        finished == Finished::Lost,
    )?;
    let begun = begin(store, &scope).await?;
    expect("`begin`", &begun, matches!(begun, Begun::Held(_)))?;
    finish(store, &scope, new, answer(store, 2)).await?;
    let begun = begin(store, &scope).await?;
    let holds = matches!(&begun, Begun::Done(kept) if told(kept) == told(&answer(store, 2)));
    expect("`begin`", &begun, holds)
}

pub(super) async fn abandoned(store: &impl IdempotencyStore) -> Found {
    let scope = scope("abandoned")?;
    let token = mine(store, &scope).await?;
    store.abandon(&scope, token);
    let begun = timeout(LEASE * 2, store.wait(&scope, &Asker::new(), LEASE)).await;
    let begun = begun.map_err(|_| "`wait` went on for two leases".to_owned())?;
    let begun = begun.map_err(text)?;
    expect(
        "`wait`",
        &begun,
        matches!(begun, Begun::Mine(next) if next > token),
    )
}
