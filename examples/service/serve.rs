//! Listening, and coming to an end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::BoxError;
use crate::http::router;
use crate::service::Service;

/// Serves until `told` is over. Then nothing new is taken; what goes on may come to its end for as long as `grace`, and is
/// stopped after that; then what was told is written down, and the database closed.
pub(crate) async fn until(
    told: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    service: Arc<Service>,
    grace: Duration,
) -> Result<(), BoxError> {
    let (stopping, stopped) = oneshot::channel();
    let told = async move {
        told.await;
        // It is over anyway if nobody waits for it.
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, router(Arc::clone(&service)));
    let mut server = Box::pin(server.with_graceful_shutdown(told).into_future());
    let end = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(grace).await;
        }
    };
    let mut ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = end => None,
        never = service.refusals.keep() => match never {},
    };
    service.stop(grace).await;
    if ended.is_none() {
        // Runs are over: each connection has its answer by now, or nobody who reads it.
        ended = timeout(grace, server).await.ok();
    }
    service.refusals.close().await;
    match ended {
        Some(ended) => Ok(ended?),
        None => Err("connections were left that nobody read from".into()),
    }
}

/// Waits until somebody presses Ctrl-C, or the system says that it is time.
pub(crate) async fn told_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => drop(terminated.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
