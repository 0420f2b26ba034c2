//! The collector at the other end.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::semconv::SCHEMA_URL;

/// A connection, made at the first use and made again after it broke.
pub(crate) struct Client {
    endpoint: Endpoint,
    headers: MetadataMap,
    resource: Resource,
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
        resource: Resource,
        timeout: Duration,
    ) -> Self {
        Self {
            endpoint,
            headers,
            resource,
            timeout,
            channel: None,
        }
    }

    pub(crate) async fn spans(&mut self, spans: Vec<Span>) -> Result<Refused, Status> {
        let message = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans,
                    schema_url: SCHEMA_URL.to_owned(),
                }],
                schema_url: SCHEMA_URL.to_owned(),
            }],
        };
        let mut client = TraceServiceClient::new(self.channel());
        let answer = self.within(client.export(self.request(message))).await?;
        let refused = answer
            .partial_success
            .map_or(0, |partial| partial.rejected_spans);
        Ok(refused.try_into().unwrap_or_default())
    }

    pub(crate) async fn logs(&mut self, log_records: Vec<LogRecord>) -> Result<Refused, Status> {
        let message = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records,
                    schema_url: SCHEMA_URL.to_owned(),
                }],
                schema_url: SCHEMA_URL.to_owned(),
            }],
        };
        let mut client = LogsServiceClient::new(self.channel());
        let answer = self.within(client.export(self.request(message))).await?;
        let refused = answer
            .partial_success
            .map_or(0, |partial| partial.rejected_log_records);
        Ok(refused.try_into().unwrap_or_default())
    }

    pub(crate) async fn metrics(&mut self, metrics: Vec<Metric>) -> Result<Refused, Status> {
        let message = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    schema_url: SCHEMA_URL.to_owned(),
                }],
                schema_url: SCHEMA_URL.to_owned(),
            }],
        };
        let mut client = MetricsServiceClient::new(self.channel());
        let answer = self.within(client.export(self.request(message))).await?;
        let refused = answer
            .partial_success
            .map_or(0, |partial| partial.rejected_data_points);
        Ok(refused.try_into().unwrap_or_default())
    }

    fn channel(&mut self) -> Channel {
        let endpoint = &self.endpoint;
        self.channel
            .get_or_insert_with(|| endpoint.connect_lazy())
            .clone()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request
    }

    /// The answer, if it comes in time.
    async fn within<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(
                "the collector did not answer in time",
            )),
        }
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

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "stageflow".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
