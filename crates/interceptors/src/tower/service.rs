//! A call as a tower service: what a tower layer is put around.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use stageflow_context::{DynValue, OrgId, Outcome, StageError, StageErrorKind, StageName};
use stageflow_graph::StageKind;
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

use crate::{Call, Ending};

/// A call of a stage, as a tower layer sees it. A clone is the same call; each request that comes through to the [`StageService`] is
/// an attempt.
#[derive(Clone)]
pub struct StageRequest {
    about: Arc<About>,
    go: mpsc::Sender<Go>,
}

struct About {
    stage: StageName,
    pipeline: Arc<str>,
    kind: StageKind,
    org: Option<OrgId>,
    attempt: NonZeroU32,
}

/// The wish that the call go on inside, and where to say how it has ended.
pub(super) struct Go {
    pub(super) answer: oneshot::Sender<Ending>,
}

impl StageRequest {
    pub(super) fn new(call: &Call<'_>) -> (Self, mpsc::Receiver<Go>) {
        let (go, gone) = mpsc::channel(1);
        let about = About {
            stage: call.stage().clone(),
            pipeline: Arc::clone(call.plan().name()),
            kind: call.kind(),
            org: call.org(),
            attempt: call.attempt(),
        };
        let about = Arc::new(about);
        (Self { about, go }, gone)
    }

    /// The name of the stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.about.stage
    }

    /// The name of the pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.about.pipeline
    }

    /// What the stage is for.
    #[must_use]
    pub fn kind(&self) -> StageKind {
        self.about.kind
    }

    /// The org the run is for, if it is for one.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.about.org
    }

    /// The attempt that was next when the call came to the layer, from 1.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.about.attempt
    }
}

impl fmt::Debug for StageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageRequest")
            .field("stage", self.stage())
            .field("attempt", &self.about.attempt)
            .finish_non_exhaustive()
    }
}

/// How a call has ended that did not fail: with a value, as a rule. Failures are the service's errors.
#[derive(Clone, Debug)]
pub struct StageResponse(pub(super) Ending);

impl StageResponse {
    /// An answer in the stage's place. It must be of the stage's output type, wrapped in `Option` if the stage is optional.
    #[must_use]
    pub fn answer(value: DynValue) -> Self {
        Self(Ending::Succeeded(value))
    }

    /// The value, if there is one: there is none if the stage skipped, was denied or stopped, or cancels its run.
    #[must_use]
    pub fn value(&self) -> Option<&DynValue> {
        match &self.0 {
            Ending::Succeeded(value) => Some(value),
            _ => None,
        }
    }

    /// How it has ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome()
    }
}

/// The service at the bottom of what a [`TowerLayer`](crate::TowerLayer) makes: it carries out the attempt that the request asks for. It
/// is always ready. Attempts of one call are made one after another, also if several are asked for at once.
///
/// Its errors are those of the stage.
#[derive(Clone, Debug)]
pub struct StageService(());

impl StageService {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl Service<StageRequest> for StageService {
    type Response = StageResponse;
    type Error = StageError;
    type Future = Pin<Box<dyn Future<Output = Result<StageResponse, StageError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), StageError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: StageRequest) -> Self::Future {
        Box::pin(async move {
            let StageRequest { about, go } = request;
            let (answer, answered) = oneshot::channel();
            let sent = go.send(Go { answer }).await;
            // Held, it would keep the call from seeing that nobody asks for anything more.
            drop(go);
            let ending = match sent {
                Ok(()) => answered.await.ok(),
                Err(_) => None,
            };
            match ending {
                Some(Ending::Failed(error)) => Err(error),
                Some(ending) => Ok(StageResponse(ending)),
                None => Err(StageError::new(
                    about.stage.clone(),
                    about.attempt,
                    StageErrorKind::Rejected,
                    "the call has ended already",
                )),
            }
        })
    }
}
