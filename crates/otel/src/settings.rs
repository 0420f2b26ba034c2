//! How an exporter is set up.

use std::num::NonZeroUsize;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::Endpoint;

use crate::client::Client;
use crate::exporter::OtlpExporter;
use crate::metrics::Metrics;
use crate::spans::{Limits, Spans};
use crate::values::text;
use crate::{OrgLabel, OtlpError, OtlpErrorKind, Ratio, semconv};

/// Whether what stages say in notes is sent, or only that they said something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The names of notes, not their payloads.
    #[default]
    Hidden,
    /// Payloads too, without what the engine's redaction leaves out, and at most 8 KiB of each.
    Captured,
}

/// How an exporter is set up. Made by [`Otlp::builder`](crate::Otlp::builder).
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `exporter` or `start`"]
pub struct OtlpBuilder {
    pub(crate) endpoint: String,
    service: String,
    resource: Vec<KeyValue>,
    headers: Vec<(String, String)>,
    sample: Ratio,
    pub(crate) timeout: Duration,
    content: Content,
    label_cap: NonZeroUsize,
    orgs: OrgLabel,
    open_spans: NonZeroUsize,
    metrics_every: Duration,
}

impl OtlpBuilder {
    pub(crate) fn new(endpoint: String) -> Self {
        const fn many(count: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(count - 1)
        }
        Self {
            endpoint,
            service: "stageflow".to_owned(),
            resource: Vec::new(),
            headers: Vec::new(),
            sample: Ratio::ALL,
            timeout: Duration::from_secs(10),
            content: Content::Hidden,
            label_cap: many(2_000),
            orgs: OrgLabel::Absent,
            open_spans: many(65_536),
            metrics_every: Duration::from_secs(10),
        }
    }

    /// The program's name, `service.name`. `stageflow` if nothing is said.
    pub fn service(self, name: impl Into<String>) -> Self {
        Self {
            service: name.into(),
            ..self
        }
    }

    /// Something else about the program, such as `deployment.environment.name`.
    pub fn resource(mut self, key: &str, value: impl Into<String>) -> Self {
        self.resource.push(text(key, &value.into()));
        self
    }

    /// Headers of every request, such as a token. Names are made lower-case.
    pub fn headers<N: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let headers = headers.into_iter();
        self.headers
            .extend(headers.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Which traces are sent, where no `traceparent` says it: all of them if nothing is said. A trace is sent whole or not at
    /// all. Metrics count everything, and every event is in the log, in any case.
    pub fn sample(self, share: Ratio) -> Self {
        Self {
            sample: share,
            ..self
        }
    }

    /// The longest wait for an answer of the collector. 10 seconds if nothing is said.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whether payloads of notes are sent.
    pub fn content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// The most different label sets of one metric. All beyond it add to one more series, whose labels are `other`: totals
    /// are exact. 2000 if nothing is said.
    pub fn label_cap(self, cap: NonZeroUsize) -> Self {
        Self {
            label_cap: cap,
            ..self
        }
    }

    /// Whether metrics say which org.
    pub fn org_label(self, orgs: OrgLabel) -> Self {
        Self { orgs, ..self }
    }

    /// The most spans that wait for their end. Beyond it those of the oldest run are sent as they are, with the error
    /// `unfinished`. 65536 if nothing is said.
    pub fn open_spans(self, most: NonZeroUsize) -> Self {
        Self {
            open_spans: most,
            ..self
        }
    }

    /// How often metrics go along with events, at most. 10 seconds if nothing is said; a flush sends them, too.
    pub fn metrics_every(self, every: Duration) -> Self {
        Self {
            metrics_every: every,
            ..self
        }
    }

    /// The exporter, for a bounded sink. Connects when there is something to send.
    ///
    /// # Errors
    ///
    /// [`OtlpError`] if the endpoint or a header cannot be used. Whether there is a collector does not matter here.
    pub fn exporter(&self) -> Result<OtlpExporter, OtlpError> {
        let limits = Limits {
            most: self.open_spans,
            sample: self.sample,
            content: self.content,
        };
        let service = text(semconv::SERVICE_NAME, &self.service);
        let resource = Resource {
            attributes: [service]
                .into_iter()
                .chain(self.resource.iter().cloned())
                .collect(),
            ..Resource::default()
        };
        let client = Client::new(self.endpoint()?, self.metadata()?, &resource, self.timeout);
        Ok(OtlpExporter::new(
            client,
            Spans::new(limits),
            Metrics::new(self.label_cap, self.orgs),
            (self.content, self.sample, self.metrics_every),
        ))
    }

    fn endpoint(&self) -> Result<Endpoint, OtlpError> {
        let refused = |kind| OtlpError::new(kind, &self.endpoint);
        let endpoint = Endpoint::from_shared(self.endpoint.clone())
            .map_err(|error| refused(OtlpErrorKind::BadEndpoint).caused_by(error))?;
        match endpoint.uri().scheme_str() {
            Some("http") => Ok(endpoint.connect_timeout(self.timeout)),
            Some("https") => Err(refused(OtlpErrorKind::Encrypted)),
            _ => Err(refused(OtlpErrorKind::BadEndpoint)),
        }
    }

    fn metadata(&self) -> Result<MetadataMap, OtlpError> {
        let mut all = MetadataMap::new();
        for (name, value) in &self.headers {
            let refused = || OtlpError::new(OtlpErrorKind::BadHeader, name);
            let key: MetadataKey<Ascii> =
                name.to_ascii_lowercase().parse().map_err(|_| refused())?;
            let mut value: MetadataValue<Ascii> = value.parse().map_err(|_| refused())?;
            value.set_sensitive(true);
            all.append(key, value);
        }
        Ok(all)
    }
}
