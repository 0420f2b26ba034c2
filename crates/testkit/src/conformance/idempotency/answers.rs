//! What is kept, for whom, and how long.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures_util::future::join;
use stageflow_context::{ErrorClass, Fingerprint, OrgId, Part, StageError, StageErrorKind, Step};
use stageflow_interceptors::IdempotencyStore;
use stageflow_interceptors::idempotency::{Asker, Begun, Finished, KeepFor, Kept, Scope};
use tokio::time::sleep;

use super::common::{
    Found, LEASE, NEVER, answer, begin, expect, finish, mine, of, scope, text, told,
};

pub(super) async fn one_answer(store: &impl IdempotencyStore) -> Found {
    let scope = scope("one-answer")?;
    let token = mine(store, &scope).await?;
    finish(store, &scope, token, answer(store, 17)).await?;
    for time in 1..=5 {
        let begun = begin(store, &scope).await?;
        let holds = matches!(&begun, Begun::Done(kept) if told(kept) == told(&answer(store, 17)));
        expect(&format!("`begin` for the {time}. time"), &begun, holds)?;
        let begun = store
            .wait(&scope, &Asker::new(), LEASE)
            .await
            .map_err(text)?;
        expect("`wait`", &begun, matches!(begun, Begun::Done(_)))?;
    }
    Ok(())
}

pub(super) async fn failures(store: &impl IdempotencyStore) -> Found {
    let stage = scope("a-failure")?.stage().clone();
    let kind = StageErrorKind::Failed(ErrorClass::Permanent);
    let error = StageError::new(stage, NonZeroU32::MIN, kind, "no such account");
    let kept = [
        ("a-failure", Kept::Failed(error)),
        ("a-skip", Kept::Skipped("nothing to pay".into())),
    ];
    for (key, kept) in kept {
        let scope = scope(key)?;
        let token = mine(store, &scope).await?;
        finish(store, &scope, token, kept.clone()).await?;
        let begun = begin(store, &scope).await?;
        let holds = matches!(&begun, Begun::Done(again) if told(again) == told(&kept));
        expect("`begin`", &begun, holds)?;
    }
    Ok(())
}

pub(super) async fn apart(store: &impl IdempotencyStore) -> Found {
    let base = scope("apart")?;
    let key = base.key().clone();
    let other = "refund".parse().map_err(|error| format!("{error}"))?;
    // A bit apart.
    let org = |end| format!("org_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1{end}").parse::<OrgId>();
    let [one, two] = [org('c').map_err(text)?, org('d').map_err(text)?];
    let item = Part::new(None, Step::Item(0));
    let scopes = [
        base.clone(),
        base.clone().for_org(Some(one)),
        base.clone().for_org(Some(two)),
        base.clone().of_part(Some(Arc::clone(&item))),
        base.clone().of_part(Some(Part::new(None, Step::Item(1)))),
        base.clone()
            .of_part(Some(Part::new(Some(item), Step::Item(0)))),
        base.clone()
            .of_part(Some(Part::new(None, Step::Named("[0]".into())))),
        Scope::new("other", base.stage().clone(), key.clone()),
        Scope::new("conformance", other, key),
        scope("APART")?,
    ];
    for (number, scope) in (0_u64..).zip(&scopes) {
        let token = mine(store, scope).await?;
        finish(store, scope, token, answer(store, number)).await?;
    }
    for (number, scope) in (0_u64..).zip(&scopes) {
        let begun = begin(store, scope).await?;
        let holds = matches!(&begun, Begun::Done(k) if told(k) == told(&answer(store, number)));
        expect(&format!("`begin` under {scope:?}"), &begun, holds)?;
    }
    Ok(())
}

fn asker(parameters: Option<&Fingerprint>) -> Asker {
    Asker::new().with_parameters(parameters.copied())
}

pub(super) async fn parameters(store: &impl IdempotencyStore) -> Found {
    let (a, b) = (of(1)?, of(2)?);
    let cases = [
        (
            Some(&a),
            [(Some(&a), true), (Some(&b), false), (None, false)],
        ),
        (None, [(None, true), (Some(&a), false), (Some(&b), false)]),
    ];
    for (case, (first, others)) in cases.into_iter().enumerate() {
        let scope = scope(&format!("parameters-{case}"))?;
        let begun = store
            .begin(&scope, &asker(first), LEASE)
            .await
            .map_err(text)?;
        let Begun::Mine(token) = begun else {
            return Err(format!("`begin` gave {begun:?} where there is nobody else"));
        };
        for (other, same) in others {
            let begun = store
                .begin(&scope, &asker(other), LEASE)
                .await
                .map_err(text)?;
            let holds =
                matches!(begun, Begun::Held(_)) == same && matches!(begun, Begun::Mismatch) != same;
            expect(
                &format!("{first:?}, and `begin` with {other:?}"),
                &begun,
                holds,
            )?;
        }
        finish(store, &scope, token, answer(store, 1)).await?;
        for (other, same) in others {
            let begun = store
                .begin(&scope, &asker(other), LEASE)
                .await
                .map_err(text)?;
            let holds =
                matches!(begun, Begun::Done(_)) == same && matches!(begun, Begun::Mismatch) != same;
            expect(
                &format!("{first:?} done, and `begin` with {other:?}"),
                &begun,
                holds,
            )?;
        }
    }
    Ok(())
}

pub(super) async fn expired(store: &impl IdempotencyStore) -> Found {
    let scope = scope("expired")?;
    let token = mine(store, &scope).await?;
    let keep = KeepFor::Time(LEASE);
    let finished = store.finish(&scope, token, answer(store, 6), keep).await;
    let finished = finished.map_err(text)?;
    expect("`finish`", &finished, finished == Finished::Kept)?;
    let begun = begin(store, &scope).await?;
    expect("`begin` in time", &begun, matches!(begun, Begun::Done(_)))?;
    sleep(LEASE * 2).await;
    let begun = begin(store, &scope).await?;
    let holds = matches!(begun, Begun::Mine(next) if next > token);
    expect("`begin` after that", &begun, holds)
}

pub(super) async fn waiters_only(store: &impl IdempotencyStore) -> Found {
    let scope = scope("waiters-only")?;
    let token = mine(store, &scope).await?;
    let holder = async {
        sleep(LEASE / 10).await;
        let kept = answer(store, 7);
        store.finish(&scope, token, kept, KeepFor::Waiters).await
    };
    let (waited, finished) = join(store.wait(&scope, &Asker::new(), LEASE), holder).await;
    let finished = finished.map_err(text)?;
    expect("`finish`", &finished, finished == Finished::Kept)?;
    let waited = waited.map_err(text)?;
    match &waited {
        Begun::Done(kept) if told(kept) == told(&answer(store, 7)) => {
            let begun = begin(store, &scope).await?;
            expect("`begin`", &begun, matches!(begun, Begun::Mine(_)))
        }
        Begun::Mine(_) => {
            let begun = begin(store, &scope).await?;
            expect("`begin`", &begun, matches!(begun, Begun::Held(_)))
        }
        other => Err(format!("`wait` gave {other:?}")),
    }
}

pub(super) async fn finished_once(store: &impl IdempotencyStore) -> Found {
    let scope = scope("finished-once")?;
    let token = mine(store, &scope).await?;
    finish(store, &scope, token, answer(store, 8)).await?;
    let keep = KeepFor::Time(NEVER);
    let again = store.finish(&scope, token, answer(store, 9), keep).await;
    let again = again.map_err(text)?;
    expect("`finish` again", &again, again == Finished::Lost)?;
    store.release(&scope, token).await.map_err(text)?;
    store.abandon(&scope, token);
    let begun = begin(store, &scope).await?;
    let holds = matches!(&begun, Begun::Done(kept) if told(kept) == told(&answer(store, 8)));
    expect("`begin`", &begun, holds)
}
