//! The exporter: events in, spans, log records and metrics out.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stageflow_events::{Entry, ExportError, ExportErrorKind, Exporter};
use tokio::time::Instant;
use tonic::Status;

use crate::client::{Client, Failure};
use crate::counts::{OtlpCounts, OtlpMonitor};
use crate::logs::log;
use crate::metrics::Metrics;
use crate::request::{Frame, Items};
use crate::said::Said;
use crate::spans::Spans;
use crate::{Content, Ratio};

/// Sends events to an OTLP collector, as spans, log records and metrics. Made by [`Otlp::builder`](crate::Otlp::builder),
/// and put behind a bounded sink, which keeps events while the collector is away.
///
/// An event counts as delivered when its log record and all spans that it ended have arrived. What the collector refuses is
/// [`ExportErrorKind::Refused`], one event for each span and each log record, but never more than there were. If an answer is
/// lost, what it was about is sent once more.
pub struct OtlpExporter {
    client: Client,
    spans: Spans,
    metrics: Metrics,
    content: Content,
    sample: Ratio,
    every: Duration,
    metrics_sent: Option<Instant>,
    takes: Takes,
    pending: Option<Pending>,
    monitor: OtlpMonitor,
}

/// Which signals the collector has not refused to know.
#[derive(Clone, Copy, Debug)]
struct Takes {
    spans: Signal,
    logs: Signal,
    metrics: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Taken,
    Unknown,
}

/// What was made of some entries and has not arrived yet.
struct Pending {
    print: u64,
    spans: Option<Ready>,
    logs: Option<Ready>,
    refused: u64,
    why: Option<Status>,
}

/// A request that has not arrived yet.
#[derive(Debug)]
struct Ready {
    request: Bytes,
    count: u64,
}

impl Ready {
    /// Nothing if there is nothing to send.
    fn of(items: &Items, frame: &Frame) -> Option<Self> {
        (items.count() > 0).then(|| Self {
            request: frame.around(items),
            count: items.count(),
        })
    }
}

impl OtlpExporter {
    pub(crate) fn new(
        client: Client,
        spans: Spans,
        metrics: Metrics,
        (content, sample, every): (Content, Ratio, Duration),
    ) -> Self {
        Self {
            client,
            spans,
            metrics,
            content,
            sample,
            every,
            metrics_sent: None,
            takes: Takes {
                spans: Signal::Taken,
                logs: Signal::Taken,
                metrics: Signal::Taken,
            },
            pending: None,
            monitor: OtlpMonitor::default(),
        }
    }

    /// Shows what was sent, when the exporter belongs to a sink.
    #[must_use]
    pub fn monitor(&self) -> OtlpMonitor {
        self.monitor.clone()
    }

    /// Makes spans, log records and numbers of them.
    fn prepare(&mut self, entries: &[Entry], print: u64) -> Pending {
        let mut logs = Items::default();
        for entry in entries {
            let Some(said) = Said::new(entry) else {
                self.count(|counts| counts.unreadable += 1);
                continue;
            };
            let is_sampled = said.is_sampled(self.sample);
            self.metrics.apply(&said, is_sampled);
            self.spans.apply(&said, &mut self.metrics);
            log(&said, is_sampled, self.content, &mut logs);
        }
        let spans = std::mem::take(&mut self.spans.ended);
        let frame = self.client.frame();
        Pending {
            print,
            spans: Ready::of(&spans, frame),
            logs: Ready::of(&logs, frame),
            refused: 0,
            why: None,
        }
    }

    /// Sends what is left of what was prepared. What arrived is not sent again, wherever this ends.
    async fn send(&mut self) -> Result<(), Status> {
        let Self {
            client,
            takes,
            pending: Some(pending),
            monitor,
            ..
        } = self
        else {
            return Ok(());
        };
        if let (Signal::Taken, Some(Ready { request, count })) = (takes.spans, &pending.spans) {
            let count = *count;
            let answer = client.spans(request.clone()).await;
            let lost = pending.settle(answer, count, &mut takes.spans)?;
            pending.spans = None;
            monitor.add(|counts| {
                counts.spans += count - lost;
                counts.spans_lost += lost;
            });
        }
        if let (Signal::Taken, Some(Ready { request, count })) = (takes.logs, &pending.logs) {
            let count = *count;
            let answer = client.logs(request.clone()).await;
            let lost = pending.settle(answer, count, &mut takes.logs)?;
            pending.logs = None;
            monitor.add(|counts| {
                counts.logs += count - lost;
                counts.logs_lost += lost;
            });
        }
        Ok(())
    }

    async fn send_metrics(&mut self) -> Result<(), Status> {
        if self.takes.metrics == Signal::Unknown || !self.metrics.has_changed() {
            return Ok(());
        }
        self.metrics_sent = Some(Instant::now());
        for items in Items::in_requests(self.metrics.collect()) {
            let request = self.client.frame().around(&items);
            // What was taken before this one is sent again with it: these are totals.
            if let Err(status) = self.client.metrics(request).await {
                if Failure::of(&status) == Failure::Unsupported {
                    self.takes.metrics = Signal::Unknown;
                }
                self.count(|counts| counts.metrics_failed += 1);
                return Err(status);
            }
        }
        self.metrics.were_sent();
        self.count(|counts| counts.metrics += 1);
        Ok(())
    }

    fn is_time_for_metrics(&self) -> bool {
        self.metrics_sent
            .is_none_or(|last| last.elapsed() >= self.every)
    }

    fn count(&self, change: impl FnOnce(&mut OtlpCounts)) {
        self.monitor.add(change);
    }
}

impl Pending {
    /// How many of `count` were lost for good; an error if another try may help.
    fn settle(
        &mut self,
        answer: Result<u64, Status>,
        count: u64,
        signal: &mut Signal,
    ) -> Result<u64, Status> {
        let lost = match answer {
            Ok(refused) => refused.min(count),
            Err(status) => {
                let failure = Failure::of(&status);
                match failure {
                    Failure::Transient => return Err(status),
                    // A collector of traces only is a collector, too.
                    Failure::Unsupported => *signal = Signal::Unknown,
                    Failure::Permanent => {}
                }
                self.why = Some(status);
                if failure == Failure::Unsupported {
                    return Ok(count);
                }
                count
            }
        };
        self.refused += lost;
        Ok(lost)
    }
}

/// Tells one batch from another: each event has its place in its run.
fn fingerprint(entries: &[Entry]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in entries {
        match entry {
            Entry::Event(run, event) => (run.identity().run_id(), event.seq()).hash(&mut hasher),
            other => {
                let record = other.record();
                (&record.run_id, record.seq, &record.kind).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

#[async_trait]
impl Exporter for OtlpExporter {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let print = fingerprint(entries);
        if self
            .pending
            .as_ref()
            .is_none_or(|pending| pending.print != print)
        {
            if let Some(given_up) = self.pending.take() {
                self.count(|counts| {
                    counts.spans_lost += given_up.spans.map_or(0, |ready| ready.count);
                    counts.logs_lost += given_up.logs.map_or(0, |ready| ready.count);
                });
            }
            self.pending = Some(self.prepare(entries, print));
        }
        self.send().await.map_err(|status| {
            let away = "the OTLP collector did not take events";
            ExportError::new(ExportErrorKind::Transient, away).caused_by(status)
        })?;
        if self.is_time_for_metrics() {
            // Totals are not lost: the next time makes up for this one.
            let _ = self.send_metrics().await;
        }
        let Some(Pending { refused, why, .. }) = self.pending.take() else {
            return Ok(());
        };
        let refused = match self.takes {
            Takes {
                spans: Signal::Unknown,
                logs: Signal::Unknown,
                ..
            } => entries.len() as u64,
            _ => refused.min(entries.len() as u64),
        };
        if refused == 0 {
            return Ok(());
        }
        let what = "the OTLP collector refused events";
        let error = ExportError::new(ExportErrorKind::Refused(refused), what);
        Err(match why {
            Some(status) => error.caused_by(status),
            None => error,
        })
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.send_metrics().await.map_err(|status| {
            let what = "the OTLP collector did not take metrics";
            ExportError::new(ExportErrorKind::Transient, what).caused_by(status)
        })
    }
}

impl fmt::Debug for OtlpExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter")
            .field("takes", &self.takes)
            .field("counts", &self.monitor.counts())
            .finish_non_exhaustive()
    }
}
