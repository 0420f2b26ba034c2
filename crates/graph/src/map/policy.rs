//! What a map makes of items that give no value.

use std::sync::Arc;

use stageflow_context::{
    ErrorClass, Part, StageCx, StageError, StageErrorKind, Step, Stop, StopKind,
};

/// How one item of a map ended: what [`Map::collect`](crate::Map::collect) gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum ItemOutcome<O> {
    /// It gave this value.
    Done(Arc<O>),
    /// It failed: an error, a panic, a timeout.
    Failed(StageError),
    /// There was nothing to do, for this reason.
    Skipped(String),
}

impl<O> ItemOutcome<O> {
    /// The value, if it gave one.
    #[must_use]
    pub fn value(&self) -> Option<&Arc<O>> {
        match self {
            Self::Done(value) => Some(value),
            Self::Failed(_) | Self::Skipped(_) => None,
        }
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn error(&self) -> Option<&StageError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Done(_) | Self::Skipped(_) => None,
        }
    }
}

impl<O> Clone for ItemOutcome<O> {
    fn clone(&self) -> Self {
        match self {
            Self::Done(value) => Self::Done(Arc::clone(value)),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Skipped(reason) => Self::Skipped(reason.clone()),
        }
    }
}

/// What a map does with items that fail, and what it gives. There are three: [`FailFast`], [`SkipFailed`], [`Collect`].
pub trait ItemPolicy: sealed::Sealed + Send + Sync + 'static {
    /// What the map gives.
    type Output<O: Send + Sync + 'static>: Send + Sync + 'static;

    /// Looks at an item that has ended.
    ///
    /// # Errors
    ///
    /// What the stage ends with because of it.
    #[doc(hidden)]
    fn keep<O>(ended: ItemOutcome<O>) -> Result<ItemOutcome<O>, Stop> {
        Ok(ended)
    }

    /// The results of all items.
    #[doc(hidden)]
    fn gather<O: Send + Sync + 'static>(ended: Vec<Option<ItemOutcome<O>>>) -> Self::Output<O>;
}

/// The first item that fails ends the stage.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailFast {}

/// Items that fail are left out.
#[derive(Debug)]
#[non_exhaustive]
pub enum SkipFailed {}

/// There is something for each item.
#[derive(Debug)]
#[non_exhaustive]
pub enum Collect {}

impl ItemPolicy for FailFast {
    type Output<O: Send + Sync + 'static> = Vec<Arc<O>>;

    fn keep<O>(ended: ItemOutcome<O>) -> Result<ItemOutcome<O>, Stop> {
        match ended {
            ItemOutcome::Failed(error) => Err(StopKind::Ended(error).into()),
            ended => Ok(ended),
        }
    }

    fn gather<O: Send + Sync + 'static>(ended: Vec<Option<ItemOutcome<O>>>) -> Vec<Arc<O>> {
        values(ended)
    }
}

impl ItemPolicy for SkipFailed {
    type Output<O: Send + Sync + 'static> = Vec<Arc<O>>;

    fn gather<O: Send + Sync + 'static>(ended: Vec<Option<ItemOutcome<O>>>) -> Vec<Arc<O>> {
        values(ended)
    }
}

impl ItemPolicy for Collect {
    type Output<O: Send + Sync + 'static> = Vec<ItemOutcome<O>>;

    fn gather<O: Send + Sync + 'static>(ended: Vec<Option<ItemOutcome<O>>>) -> Vec<ItemOutcome<O>> {
        ended.into_iter().flatten().collect()
    }
}

fn values<O>(ended: Vec<Option<ItemOutcome<O>>>) -> Vec<Arc<O>> {
    let value = |ended| match ended {
        ItemOutcome::Done(value) => Some(value),
        ItemOutcome::Failed(_) | ItemOutcome::Skipped(_) => None,
    };
    ended.into_iter().flatten().filter_map(value).collect()
}

/// What an item ended in.
///
/// # Errors
///
/// What ends the stage whatever its policy: the item cancelled the run, was stopped, or was denied.
pub(super) fn outcome<O>(
    cx: &StageCx,
    index: u32,
    result: Result<Arc<O>, Stop>,
) -> Result<ItemOutcome<O>, Stop> {
    let stop = match result {
        Ok(value) => return Ok(ItemOutcome::Done(value)),
        Err(stop) => stop,
    };
    // An engine gives `Ended`; a host without layers passes on what the item said.
    let error = |kind, source: stageflow_context::BoxError| {
        StageError::new(cx.stage().clone(), cx.attempt(), kind, source)
            .in_part(Part::new(cx.part().cloned(), Step::Item(index)))
    };
    match stop.into_kind() {
        StopKind::Ended(error) if *error.kind() != StageErrorKind::Denied => {
            Ok(ItemOutcome::Failed(error))
        }
        StopKind::Skip(reason) => Ok(ItemOutcome::Skipped(reason)),
        StopKind::Fail { class, source } => Ok(ItemOutcome::Failed(error(
            StageErrorKind::Failed(class),
            source,
        ))),
        StopKind::Retry { reason, .. } => Ok(ItemOutcome::Failed(error(
            StageErrorKind::Failed(ErrorClass::Transient),
            reason.into(),
        ))),
        kind => Err(kind.into()),
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait above")]
    pub trait Sealed {}

    impl Sealed for super::FailFast {}
    impl Sealed for super::SkipFailed {}
    impl Sealed for super::Collect {}
}
