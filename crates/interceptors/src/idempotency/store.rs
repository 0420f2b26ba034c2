//! The port to where answers are kept.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::{Asker, Kept, Scope, StoreError};

/// Where answers are kept under the key of their request, and who is at work on one. Shared by everyone who must not do the
/// same work twice: stages, runs, engines, processes.
///
/// A *holder* has begun the work under a scope and has not finished it. There is one at most, and it has a [`Token`]. A holder
/// that does not renew within its lease counts as dead, and the next who asks takes over with a greater token; from then on
/// the old token is good for nothing. `stageflow_testkit::conformance` has the tests that every store must pass.
///
/// # Cancellation
///
/// Every future may be dropped at any point. One of [`begin`](Self::begin) or [`wait`](Self::wait) that is dropped must leave
/// nothing that outlives a lease.
#[async_trait]
pub trait IdempotencyStore: Send + Sync + 'static {
    /// What it can keep. A store outside the process keeps bytes.
    fn keeps(&self) -> Keeps {
        Keeps::Bytes
    }

    /// Begins the work under `scope`, unless it was done or somebody is at it. Does not wait for them.
    ///
    /// What is held or kept under the scope belongs to the parameters it was begun with: with others it is
    /// [`Begun::Mismatch`]. No parameters are equal to no parameters, and to nothing else. A store that outlives its process
    /// remembers whose work it is, so that it can be erased with its user.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, has no room, or cannot read what it kept.
    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError>;

    /// The same, but waits for a holder to finish, let go or die. Those who wait should have their turn in the order in which
    /// they came. Never gives [`Begun::Held`].
    ///
    /// If nothing is said, it asks again and again, with pauses from 5 ms up to half a second, and so in no order.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    async fn wait(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        let mut pause = SHORTEST;
        loop {
            match self.begin(scope, asker, lease).await? {
                Begun::Held(rest) => {
                    sleep(pause.min(rest).max(SHORTEST)).await;
                    pause = (pause * 2).min(LONGEST);
                }
                begun => return Ok(begun),
            }
        }
    }

    /// The holder is alive: its lease begins anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError>;

    /// The holder has this answer. It is kept, and given to those who wait.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be kept. The holder is the holder still.
    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError>;

    /// The holder has no answer. The first who waits takes over; if nobody does, it is as if the work had never been begun.
    /// Does nothing if the token is not the holder's.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer. Then the lease has to run out.
    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError>;

    /// The holder was dropped and cannot wait: as [`release`](Self::release), at once or in the background. A store that does
    /// nothing here makes others wait until the lease has run out.
    fn abandon(&self, scope: &Scope, token: Token) {
        let _ = (scope, token);
    }
}

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);

/// What a store can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Keeps {
    /// [`Kept::Bytes`]; the layer needs a codec.
    Bytes,
    /// [`Kept::Value`]: values themselves.
    Values,
}

/// What came of an attempt to begin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Begun {
    /// It was done, with this answer.
    Done(Kept),
    /// Somebody is at it, whose lease runs out after this time unless it is renewed.
    Held(Duration),
    /// The caller is the holder now.
    Mine(Token),
    /// It was begun with other parameters.
    Mismatch,
}

/// Which of the holders it is. Whoever takes over has a greater one than all before under the same scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// One that a store gives.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0)
    }
}

/// Whether a holder is the holder still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Renewed {
    /// It is not: somebody has taken over, or the work was finished or forgotten.
    Lost,
    /// It is, for another lease.
    Yes,
}

/// Whether an answer was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finished {
    /// It is the answer.
    Kept,
    /// It is not: the token is not the holder's.
    Lost,
}

/// For how long an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeepFor {
    /// For so long from now.
    Time(Duration),
    /// Only those who wait at this moment are given it. A store that does not know who they are releases the work instead.
    Waiters,
}
