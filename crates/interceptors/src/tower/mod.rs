//! Tower's layers as layers.

mod service;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, Either, select};
use stageflow_context::{BoxError, ErrorClass, StageError, StageErrorKind};
use tokio::sync::mpsc;
use tower_service::Service;

pub use service::{StageRequest, StageResponse, StageService};

use crate::stack::answered;
use crate::{Around, Call, Ending, Next, Phase};
use service::Go;

/// Any [`tower_layer::Layer`] as a layer: limits, timeouts, retries, load shedding, balancing, whatever there is.
///
/// ```
/// use std::time::Duration;
/// use stageflow_interceptors::{Phase, Stack, TowerLayer};
/// use tower::timeout::TimeoutLayer;
///
/// let timeout = TimeoutLayer::new(Duration::from_secs(5));
/// let stack = Stack::new().with(TowerLayer::new("tower-timeout", Phase::Timeout, timeout));
/// assert_eq!(stack.describe(), "call\n└ tower-timeout [timeout, around]\n  └ stage\n");
/// ```
///
/// The layer is put around a [`StageService`] once, when this is made; each call takes a clone of the result, as tower's own
/// servers do, so what clones share (a semaphore, a buffer) all calls share. A service that is not `Clone`, such as
/// tower's rate limit, goes behind `tower::buffer`; that starts a task, so make it inside the runtime, and its queue counts for all
/// pipelines that the engine runs.
///
/// # What comes of it
///
/// | the service gives | the call |
/// |---|---|
/// | the response of a request | ends as the stage has ended |
/// | [`StageResponse::answer`] | succeeds with that value, if its type is right |
/// | the error of the stage | fails with that very error |
/// | an error of its own, before anything was asked of the stage | is rejected (`SF0313`), with that as the cause |
/// | an error of its own, afterwards | fails, transiently (`SF0301`), with that as the cause |
///
/// A request that comes through is an attempt. A second one, as of tower's retry, is another attempt: they are numbered,
/// and each has its events. Requests of one call are carried out one after another. If the service drops the future of a
/// request, or ends before the attempt does, the attempt is dropped: its stage is interrupted.
///
/// # Cancellation
///
/// When the run ends, the service's future is dropped with the call.
pub struct TowerLayer<S> {
    name: Box<str>,
    phase: Phase,
    /// To be cloned from: not every service can be looked at from two threads.
    service: Mutex<S>,
}

impl<S> TowerLayer<S> {
    /// This tower layer, under this name, in this phase.
    pub fn new<L>(name: impl Into<Box<str>>, phase: Phase, layer: L) -> Self
    where
        L: tower_layer::Layer<StageService, Service = S>,
    {
        Self {
            name: name.into(),
            phase,
            service: Mutex::new(layer.layer(StageService::new())),
        }
    }
}

impl<S> fmt::Debug for TowerLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerLayer")
            .field("name", &self.name)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<S> Around for TowerLayer<S>
where
    S: Service<StageRequest, Response = StageResponse> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let (request, gone) = StageRequest::new(call);
        let service = {
            let service = self.service.lock();
            service.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let mut passage = Passage {
            asked: false,
            gone,
            outer: Box::pin(served(service, request)),
        };
        match passage.result(call, next).await {
            Ok(StageResponse(Ending::Succeeded(value))) => answered(call, &self.name, value),
            Ok(StageResponse(ending)) => ending,
            Err(error) => self.failed(call, error, passage.asked),
        }
    }
}

impl<S> TowerLayer<S> {
    fn failed(&self, call: &Call<'_>, error: BoxError, asked: bool) -> Ending {
        let error = match error.downcast::<StageError>() {
            Ok(error) => *error,
            Err(error) if asked => call.error(StageErrorKind::Failed(ErrorClass::Transient), error),
            Err(error) => call.error(StageErrorKind::Rejected, error),
        };
        Ending::Failed(error)
    }
}

type Served = Result<StageResponse, BoxError>;

/// One call on its way through a service.
struct Passage<'o> {
    /// Whether the service has asked for an attempt.
    asked: bool,
    gone: mpsc::Receiver<Go>,
    outer: BoxFuture<'o, Served>,
}

impl Passage<'_> {
    /// What the service makes of the call.
    async fn result(&mut self, call: &mut Call<'_>, next: Next<'_>) -> Served {
        loop {
            let go = {
                let asked = std::pin::pin!(self.gone.recv());
                match select(self.outer.as_mut(), asked).await {
                    Either::Left((result, _)) => return result,
                    Either::Right((go, _)) => go,
                }
            };
            let Some(go) = go else {
                // Nobody can ask for anything more.
                return self.outer.as_mut().await;
            };
            self.asked = true;
            if let Some(result) = attempt(self.outer.as_mut(), go, call, next).await {
                return result;
            }
        }
    }
}

/// One attempt, unless the service ends before it does: then what the service gives.
async fn attempt(
    outer: Pin<&mut (dyn Future<Output = Served> + Send + '_)>,
    mut go: Go,
    call: &mut Call<'_>,
    next: Next<'_>,
) -> Option<Served> {
    let ending = {
        let attempt = std::pin::pin!(next.run(call));
        let unwanted = std::pin::pin!(go.answer.closed());
        let wanted = select(attempt, unwanted);
        match select(outer, wanted).await {
            Either::Left((result, _)) => return Some(result),
            Either::Right((Either::Left((ending, _)), _)) => ending,
            Either::Right((Either::Right(_), _)) => return None,
        }
    };
    // Whoever no longer wants to know has dropped the other end.
    let _ = go.answer.send(ending);
    None
}

async fn served<S>(mut service: S, request: StageRequest) -> Served
where
    S: Service<StageRequest, Response = StageResponse>,
    S::Error: Into<BoxError>,
{
    poll_fn(|cx| service.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    service.call(request).await.map_err(Into::into)
}
