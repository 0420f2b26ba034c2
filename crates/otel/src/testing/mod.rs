//! A collector in the same process, which keeps what it gets and answers as it is told to.
//!
//! ```
//! use stageflow_otel::testing::{Answer, Receiver};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let receiver = Receiver::start().await.unwrap();
//! receiver.answer(Answer::Busy);
//! let exporter = stageflow_otel::Otlp::builder(receiver.endpoint()).exporter().unwrap();
//! // ... put it behind a sink, run something ...
//! assert!(receiver.spans().is_empty());
//! # drop(exporter);
//! # });
//! ```

mod service;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use opentelemetry_proto::tonic as proto;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsServiceServer;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsServiceServer;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::service::Service;

/// How a [`Receiver`] answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It takes everything.
    #[default]
    Take,
    /// It takes all spans and log records of a request but so many.
    Partly(u64),
    /// It says that it is not there: another try may help.
    Busy,
    /// It says that the request is wrong.
    Refuse,
    /// It does not know log records.
    NoLogs,
    /// It does not know log records and metrics.
    SpansOnly,
    /// It takes everything, after this time.
    Slow(Duration),
}

/// A collector on a free port of this machine. When it is dropped it takes nothing more, and its connections end.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    state: Shared,
    /// The server stops when this is gone.
    _until: oneshot::Sender<()>,
}

/// What a receiver and its services share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) answer: Answer,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
    /// The latest metrics, by name.
    pub(crate) metrics: HashMap<String, Metric>,
    /// Each once.
    pub(crate) resources: Vec<Resource>,
    pub(crate) requests: u64,
    pub(crate) refused: u64,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Listens on a free port, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::on(0).await
    }

    /// Listens on this port, such as that of one that went away.
    ///
    /// # Errors
    ///
    /// If it cannot be had.
    pub async fn on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let state = Shared::default();
        let service = || Service(state.clone());
        let (until, over) = oneshot::channel::<()>();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(service()))
            .add_service(LogsServiceServer::new(service()))
            .add_service(MetricsServiceServer::new(service()))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
                // An error says that the other end is gone: just that is waited for.
                let _ = over.await;
            });
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends when the receiver is dropped"
        )]
        drop(tokio::spawn(async move {
            // A server that ends is one that nobody reaches: tests see that.
            let _ = server.await;
        }));
        Ok(Self {
            port,
            state,
            _until: until,
        })
    }

    /// Where it is, for [`Otlp::builder`](crate::Otlp::builder).
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers like this.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().answer = answer;
    }

    /// The spans it took, in the order in which they came.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.state.lock().spans.clone()
    }

    /// The log records it took, in the order in which they came.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        self.state.lock().logs.clone()
    }

    /// The spans it took since this was last asked, which it keeps no longer.
    #[must_use]
    pub fn take_spans(&self) -> Vec<Span> {
        std::mem::take(&mut self.state.lock().spans)
    }

    /// The log records it took since this was last asked, which it keeps no longer.
    #[must_use]
    pub fn take_logs(&self) -> Vec<LogRecord> {
        std::mem::take(&mut self.state.lock().logs)
    }

    /// What spans, log records and metrics were said to come from, each different one once.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.state.lock().resources.clone()
    }

    /// The metric of this name as it came last.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.state.lock().metrics.get(name).cloned()
    }

    /// The names of all metrics that came, in alphabetical order.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.state.lock().metrics.keys().cloned().collect();
        names.sort();
        names
    }

    /// How many requests came, whatever the answer was.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    /// How many spans and log records it refused in part.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.state.lock().refused
    }
}

/// The value of an attribute, as text.
#[must_use]
pub fn attribute(all: &[KeyValue], key: &str) -> Option<String> {
    let found = all.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()? {
        AnyValue {
            value: Some(Any::StringValue(text)),
        } => Some(text.clone()),
        AnyValue {
            value: Some(Any::IntValue(number)),
        } => Some(number.to_string()),
        AnyValue {
            value: Some(Any::BoolValue(flag)),
        } => Some(flag.to_string()),
        _ => None,
    }
}
