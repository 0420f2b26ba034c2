//! The three services of OTLP.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsService;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsService;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceService;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::{Request, Response, Status};

use super::{Answer, Shared};

pub(super) struct Service(pub(super) Shared);

/// What kind of thing a request brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brings {
    Spans,
    Logs,
    Metrics,
}

impl Service {
    /// How many of what comes are refused.
    async fn receive(&self, brings: Brings) -> Result<u64, Status> {
        let answer = {
            let mut state = self.0.lock();
            state.requests += 1;
            state.answer
        };
        match answer {
            Answer::Take => Ok(0),
            Answer::Partly(count) => Ok(count),
            Answer::Busy => Err(Status::unavailable("come again later")),
            Answer::Refuse => Err(Status::invalid_argument("this is not what it should be")),
            Answer::NoLogs if brings != Brings::Logs => Ok(0),
            Answer::SpansOnly if brings == Brings::Spans => Ok(0),
            Answer::NoLogs | Answer::SpansOnly => Err(Status::unimplemented("not here")),
            Answer::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(0)
            }
        }
    }

    /// Keeps what it comes from, once.
    fn comes_from(&self, resource: Option<&Resource>) {
        let Some(resource) = resource else { return };
        let mut state = self.0.lock();
        if !state.resources.contains(resource) {
            state.resources.push(resource.clone());
        }
    }

    /// Keeps all but the first so many; says how many these were.
    fn keep<T>(
        &self,
        mut all: Vec<T>,
        refused: u64,
        kept: impl FnOnce(&mut super::State) -> &mut Vec<T>,
    ) -> i64 {
        let refused = all
            .len()
            .min(usize::try_from(refused).unwrap_or(usize::MAX));
        let taken = all.split_off(refused);
        let mut state = self.0.lock();
        state.refused += refused as u64;
        kept(&mut state).extend(taken);
        refused as i64
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let refused = self.receive(Brings::Spans).await?;
        let scopes = request
            .into_inner()
            .resource_spans
            .into_iter()
            .inspect(|of| self.comes_from(of.resource.as_ref()))
            .flat_map(|of| of.scope_spans);
        let spans = scopes.flat_map(|of| of.spans).collect();
        let refused = self.keep(spans, refused, |state| &mut state.spans);
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: refused,
                error_message: String::new(),
            }),
        }))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let refused = self.receive(Brings::Logs).await?;
        let scopes = request
            .into_inner()
            .resource_logs
            .into_iter()
            .inspect(|of| self.comes_from(of.resource.as_ref()))
            .flat_map(|of| of.scope_logs);
        let logs = scopes.flat_map(|of| of.log_records).collect();
        let refused = self.keep(logs, refused, |state| &mut state.logs);
        Ok(Response::new(ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: refused,
                error_message: String::new(),
            }),
        }))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.receive(Brings::Metrics).await?;
        let scopes = request
            .into_inner()
            .resource_metrics
            .into_iter()
            .inspect(|of| self.comes_from(of.resource.as_ref()))
            .flat_map(|of| of.scope_metrics);
        let metrics = scopes.flat_map(|of| of.metrics);
        let named = metrics.map(|metric| (metric.name.clone(), metric));
        // Read before the state is locked: what they come from is kept there, too.
        let named: Vec<_> = named.collect();
        self.0.lock().metrics.extend(named);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
