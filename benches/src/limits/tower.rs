//! Layers of tower around a service that answers at once.

use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;
use tower::util::ServiceFn;
use tower::{BoxError, Layer, Service, ServiceExt as _, service_fn};

use crate::harness::Batch;
use crate::layers::Kind;

/// What is called.
type Answer = ServiceFn<fn(u64) -> Ready<Result<u64, BoxError>>>;

/// Tries again what has failed.
#[derive(Clone)]
struct Failures;

impl Policy<u64, u64, BoxError> for Failures {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, BoxError>) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// A service in the layer of tower that does the same, if there is one, called once a unit.
pub(crate) fn tower(kind: Kind) -> Option<Batch> {
    Some(match kind {
        Kind::Nothing => called(tower::layer::util::Identity::new()),
        Kind::Timeout => called(TimeoutLayer::new(Duration::from_secs(60))),
        Kind::Retry => called(RetryLayer::new(Failures)),
        Kind::Bulkhead => called(ConcurrencyLimitLayer::new(1000)),
        Kind::Rate => called(RateLimitLayer::new(
            u64::from(u32::MAX),
            Duration::from_secs(1),
        )),
        _ => return None,
    })
}

fn called<L, S>(layer: L) -> Batch
where
    L: Layer<Answer, Service = S> + Clone + Send + Sync + 'static,
    S: Service<u64, Response = u64, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    Arc::new(move |count| {
        // Behind a box, as stages are: what the compiler sees through costs nothing.
        let answer: Answer = service_fn(|n| ready(Ok(n)));
        let service = layer.layer(answer);
        let mut service = service.map_err(Into::into).boxed();
        Box::pin(async move {
            for _ in 0..count {
                let called = match service.ready().await {
                    Ok(service) => service.call(black_box(1)).await,
                    Err(error) => Err(error),
                };
                assert!(called.is_ok(), "it answers");
            }
        })
    })
}
