//! What every store of answers must do.

mod answers;
mod common;
mod holders;

use stageflow_interceptors::IdempotencyStore;
use tokio::time::timeout;

use self::common::NEVER;

/// Runs the conformance tests of stores of answers: every implementation of
/// [`IdempotencyStore`] must pass. Under [`paused`](crate::paused) it takes no time; with a store that
/// has a clock of its own, about ten seconds.
///
/// `make` gives a store that knows none of the scopes of the tests before: a new one, or one that was emptied.
///
/// ```
/// use stageflow_interceptors::MemoryIdempotencyStore;
/// use stageflow_testkit::{conformance, paused};
///
/// paused(conformance::idempotency(async || MemoryIdempotencyStore::new()));
/// ```
///
/// # Panics
///
/// If the store does not do what it must, with everything that was found.
pub async fn idempotency<S: IdempotencyStore>(make: impl AsyncFn() -> S) {
    let faults = idempotency_faults(make).await;
    assert!(
        faults.is_empty(),
        "this is no store of answers:\n- {}",
        faults.join("\n- ")
    );
}

/// The same; gives what was found, a line for each.
pub async fn idempotency_faults<S: IdempotencyStore>(make: impl AsyncFn() -> S) -> Vec<String> {
    let mut faults = Vec::new();
    macro_rules! check {
        ($($check:path => $says:literal;)*) => {$(
            let store = make().await;
            let found = match timeout(NEVER, $check(&store)).await {
                Ok(found) => found,
                Err(_) => Err("it hangs".to_owned()),
            };
            if let Err(why) = found {
                faults.push(format!("{}: {why}", $says));
            }
        )*};
    }
    check! {
        holders::one_holder => "of many who begin at once, one has the work";
        answers::one_answer => "an answer is given to everybody, as often as it is asked for, and is the same each time";
        answers::failures => "a failure and a skip are kept as what they are";
        answers::apart => "other orgs, pipelines, stages, parts and keys have nothing to do with it";
        answers::parameters => "a key belongs to the parameters it was begun with";
        holders::released => "work that was let go can be begun again, with any parameters and a greater token";
        holders::waiting => "who waits is given the answer";
        holders::handed_over => "of those who wait, one takes over, and the others get its answer";
        holders::stopped_waiting => "nobody is held up by those who have stopped to wait";
        holders::alive => "a holder that renews keeps the work";
        holders::dead => "a holder that is silent for a lease loses the work, and its token is good for nothing";
        answers::expired => "an answer is forgotten when its time is over";
        answers::waiters_only => "an answer for those who wait is not kept";
        answers::finished_once => "a holder finishes once";
        holders::abandoned => "work whose holder was dropped is free after a lease at most";
    }
    faults
}
