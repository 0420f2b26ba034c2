//! What every store must do, as tests that it can run.

mod bench;
mod commits;
mod crowd;
mod expiry;
mod lives;
mod oracle;
mod orgs;
mod program;
mod reading;

use std::time::Duration;

use tokio::time::timeout;

use self::bench::Bench;
use crate::Store;

pub use bench::{HandClock, scope_of};

/// Nothing here takes so long.
const NEVER: Duration = Duration::from_secs(120);

/// Runs the conformance tests of stores: every implementation of [`Store`] must pass.
///
/// `make` gives a store whose rows expire by this clock. It may be the same database each time: every test has orgs of its
/// own. It must be called in a tokio runtime; not in a paused one, unless the store is in memory.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_store::{MemoryStore, conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let rows = NonZeroUsize::new(10_000).unwrap();
/// conformance::check(async |clock| MemoryStore::with(rows, clock)).await;
/// # }
/// ```
///
/// # Panics
///
/// If the store does not do what it must, with everything that was found.
pub async fn check<S: Store>(make: impl AsyncFn(HandClock) -> S) {
    let faults = faults(bench::seed(), make).await;
    assert!(
        faults.is_empty(),
        "this is no store:\n- {}",
        faults.join("\n- ")
    );
}

/// The same; gives what was found, a line for each rule that is broken. The same seed gives the same random programs.
pub async fn faults<S: Store>(seed: u64, make: impl AsyncFn(HandClock) -> S) -> Vec<String> {
    let mut faults = Vec::new();
    macro_rules! check {
        ($($rule:path => $says:literal;)*) => {$(
            let clock = HandClock::new();
            let bench = Bench::new(make(clock.clone()).await, clock, seed);
            let found = match timeout(NEVER, Box::pin($rule(&bench))).await {
                Ok(found) => found,
                Err(_) => Err("it hangs".to_owned()),
            };
            if let Err(why) = found {
                faults.push(format!("{}: {why}", $says));
            }
            // Twenty stores at a time would be too many for a server.
            drop(bench);
        )*};
    }
    check! {
        commits::given_back => "a row is given back as it was written";
        commits::all_or_nothing => "a commit happens wholly, or not at all";
        commits::in_order => "a condition sees what stands before it in its commit";
        commits::versions => "versions count the writes, and a swap asks for the one that was read";
        commits::deletes => "what was deleted is gone, and deleting nothing is no mistake";
        commits::refused => "what cannot be kept is refused, and nothing of its commit is done";
        commits::large => "a body of a megabyte is kept, and many rows in one commit";
        commits::classes => "classes have nothing to do with each other";
        reading::order => "rows come in the order of the bytes of their keys";
        reading::prefixes => "a prefix is a text, whatever is in it";
        reading::pages => "page after page, every row comes once";
        reading::filters => "a scan gives the rows of a user, and those before a time";
        reading::most => "a scan gives no more than it is asked for, and refuses what is too much";
        expiry::as_absent => "from its time on, a row is as if it were not there";
        expiry::scrubbed => "a scrub takes away what is past its time, and nothing else";
        expiry::not_counted => "rows whose time is over do not take the place of others";
        orgs::apart => "orgs have nothing to do with each other";
        orgs::texts => "what looks like a statement is a text";
        crowd::increments => "of those who swap at once, none is lost";
        crowd::one_insert => "of those who insert at once, one does";
        crowd::dropped => "a commit that is dropped happens wholly, or not at all";
        crowd::whole => "a scan sees commits wholly";
        lives::beside_each_other => "a run that comes back does not take the place of its first life";
        program::random => "a random program comes to what the oracle says";
    }
    faults
}
