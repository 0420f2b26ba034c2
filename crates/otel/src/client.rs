//! The collector at the other end.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::codec::Ready;
use crate::request::Frame;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// A connection, made at the first use and made again after it broke.
pub(crate) struct Client {
    endpoint: Endpoint,
    headers: MetadataMap,
    frame: Frame,
    timeout: Duration,
    channel: Option<Channel>,
}

/// What became of a request that arrived: how many of what was in it were refused.
pub(crate) type Refused = u64;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The collector does not take this kind of thing.
    Unsupported,
    /// Another try may help.
    Transient,
    /// Another try would fail the same way.
    Permanent,
}

impl Client {
    pub(crate) fn new(
        endpoint: Endpoint,
        headers: MetadataMap,
        resource: &Resource,
        timeout: Duration,
    ) -> Self {
        Self {
            endpoint,
            headers,
            frame: Frame::new(resource),
            timeout,
            channel: None,
        }
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Sends a request of spans.
    pub(crate) async fn spans(&mut self, request: Bytes) -> Result<Refused, Status> {
        let answer: ExportTraceServiceResponse = self.send(TRACES, request).await?;
        let partial = answer.partial_success;
        Ok(count(partial.map_or(0, |partial| partial.rejected_spans)))
    }

    /// Sends a request of log records.
    pub(crate) async fn logs(&mut self, request: Bytes) -> Result<Refused, Status> {
        let answer: ExportLogsServiceResponse = self.send(LOGS, request).await?;
        let partial = answer.partial_success;
        Ok(count(
            partial.map_or(0, |partial| partial.rejected_log_records),
        ))
    }

    /// Sends a request of metrics.
    pub(crate) async fn metrics(&mut self, request: Bytes) -> Result<Refused, Status> {
        let answer: ExportMetricsServiceResponse = self.send(METRICS, request).await?;
        let partial = answer.partial_success;
        Ok(count(
            partial.map_or(0, |partial| partial.rejected_data_points),
        ))
    }

    /// The answer, if it comes in time.
    async fn send<A>(&mut self, path: &'static str, request: Bytes) -> Result<A, Status>
    where
        A: Message + Default + 'static,
    {
        let mut client = Grpc::new(self.channel());
        let mut request = Request::new(request);
        *request.metadata_mut() = self.headers.clone();
        let call = async {
            let ready = client.ready().await;
            ready.map_err(|error| Status::unavailable(error.to_string()))?;
            let path = PathAndQuery::from_static(path);
            client.unary(request, path, Ready::<A>::new()).await
        };
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(
                "the collector did not answer in time",
            )),
        }
    }

    fn channel(&mut self) -> Channel {
        let endpoint = &self.endpoint;
        self.channel
            .get_or_insert_with(|| endpoint.connect_lazy())
            .clone()
    }
}

impl Failure {
    /// What OTLP says about trying again.
    pub(crate) fn of(status: &Status) -> Self {
        match status.code() {
            Code::Unimplemented => Self::Unsupported,
            Code::Aborted
            | Code::Cancelled
            | Code::DataLoss
            | Code::DeadlineExceeded
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Unavailable => Self::Transient,
            // A connection that breaks in the middle shows as an unknown error of the transport.
            Code::Unknown if std::error::Error::source(status).is_some() => Self::Transient,
            _ => Self::Permanent,
        }
    }
}

fn count(refused: i64) -> Refused {
    refused.try_into().unwrap_or_default()
}
