//! What must run whatever happens.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{BoxError, StageIndex};

type CleanupFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type CleanupFn = Box<dyn FnOnce() -> CleanupFuture + Send>;

/// One piece of work to do when the run ends, with the name it is reported under.
pub struct Cleanup {
    name: Arc<str>,
    stage: StageIndex,
    run: CleanupFn,
}

impl Cleanup {
    /// A cleanup of `stage`, called `name` in the report.
    pub fn new<F, Fut>(name: impl Into<Arc<str>>, stage: StageIndex, run: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: CleanupResult> + Send + 'static,
    {
        let run: CleanupFn = Box::new(move || Box::pin(async move { run().await.into_result() }));
        Self {
            name: name.into(),
            stage,
            run,
        }
    }

    /// The name it is reported under.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The stage that registered it.
    #[must_use]
    pub fn stage(&self) -> StageIndex {
        self.stage
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> {
        // The closure runs inside the future, so that a panic in it is one of the future's.
        Box::pin(async move { (self.run)().await })
    }
}

impl fmt::Debug for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleanup")
            .field("name", &self.name)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// What a cleanup may return: nothing, or a result.
#[diagnostic::on_unimplemented(
    message = "a cleanup must give nothing or a `Result<(), _>`, this one gives `{Self}`",
    label = "the future of this cleanup gives `{Self}`",
    note = "end the cleanup with `;`, or with `Ok(())` if it can fail"
)]
pub trait CleanupResult {
    /// As a result.
    ///
    /// # Errors
    ///
    /// Whatever the cleanup failed with.
    fn into_result(self) -> Result<(), BoxError>;
}

impl CleanupResult for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> CleanupResult for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// The cleanups of one run, last in, first out.
#[derive(Debug, Default)]
pub struct Cleanups(Mutex<Vec<Cleanup>>);

impl Cleanups {
    /// Nothing registered yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Adds one. Registered while cleanups run, it runs next.
    pub fn push(&self, cleanup: Cleanup) {
        self.lock().push(cleanup);
    }

    /// Takes the one registered last.
    #[must_use]
    pub fn pop(&self) -> Option<Cleanup> {
        self.lock().pop()
    }

    /// How many are registered and not yet taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Cleanup>> {
        // The list is whole even if a panic crossed it: every operation is one push or one pop.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
