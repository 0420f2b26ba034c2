//! What the tests of what is sent share.

use std::collections::BTreeMap;
use std::sync::Arc;

use stageflow::events::{Batch, Entry};
use stageflow::interceptors::{Call, Ending, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_otel::testing::proto::trace::v1::Span;
use stageflow_otel::testing::{Receiver, attribute};
use stageflow_otel::{Otlp, OtlpBuilder};

/// Calls again until it succeeds, so many times in all.
pub(crate) struct Again(pub(crate) u32);

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for _ in 1..self.0 {
            if matches!(ending, Ending::Succeeded(_)) {
                break;
            }
            ending = next.run(call).await;
        }
        ending
    }
}

/// The entries that a sink would hand over.
pub(crate) fn entries(batches: &[Batch]) -> Vec<Entry> {
    let of = |batch: &Batch| {
        let run = Arc::clone(&batch.run);
        let events = batch.events.clone().into_iter();
        events
            .map(move |event| Entry::Event(Arc::clone(&run), event))
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// The same entries as records, as a file would have kept them.
pub(crate) fn as_records(entries: &[Entry]) -> Vec<Entry> {
    entries
        .iter()
        .map(|entry| Entry::Record(entry.record()))
        .collect()
}

/// Somewhere to keep events until they are exported.
pub(crate) fn memory() -> Arc<MemorySink> {
    Arc::new(MemorySink::bounded(100_000.try_into().unwrap()))
}

/// Sends these and what there is to flush.
pub(crate) async fn send(
    receiver: &Receiver,
    settings: impl FnOnce(OtlpBuilder) -> OtlpBuilder,
    entries: &[Entry],
) {
    let mut exporter = settings(Otlp::builder(receiver.endpoint()))
        .exporter()
        .unwrap();
    use stageflow::events::Exporter as _;
    for some in entries.chunks(7) {
        exporter.export(some).await.unwrap();
    }
    exporter.flush().await.unwrap();
}

/// Spans, found by name.
pub(crate) struct Forest(pub(crate) Vec<Span>);

impl Forest {
    pub(crate) fn of(receiver: &Receiver) -> Self {
        Self(receiver.spans())
    }

    pub(crate) fn get(&self, name: &str) -> &Span {
        let mut found = self.0.iter().filter(|span| span.name == name);
        let first = found
            .next()
            .unwrap_or_else(|| panic!("no span `{name}` in\n{self}"));
        assert!(found.next().is_none(), "several spans `{name}` in\n{self}");
        first
    }

    /// The only span of this name below that one.
    pub(crate) fn below(&self, parent: &Span, name: &str) -> &Span {
        let mut found = self
            .0
            .iter()
            .filter(|span| span.name == name && span.parent_span_id == parent.span_id);
        let first = found
            .next()
            .unwrap_or_else(|| panic!("no span `{name}` below `{}` in\n{self}", parent.name));
        assert!(found.next().is_none());
        first
    }
}

impl std::fmt::Display for Forest {
    /// As a tree, in the order of the starts.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut children: BTreeMap<&[u8], Vec<&Span>> = BTreeMap::new();
        let known = |id: &[u8]| self.0.iter().any(|span| span.span_id == id);
        for span in &self.0 {
            let above = if known(&span.parent_span_id) {
                &*span.parent_span_id
            } else {
                &[]
            };
            children.entry(above).or_default().push(span);
        }
        for below in children.values_mut() {
            below.sort_by_key(|span| (span.start_time_unix_nano, span.name.clone()));
        }
        let below = |id: &[u8]| children.get(id).into_iter().flatten().rev().copied();
        let mut open: Vec<(usize, &Span)> = below(&[]).map(|span| (0, span)).collect();
        while let Some((depth, span)) = open.pop() {
            let what = |key: &str| {
                attribute(&span.attributes, key)
                    .map(|value| format!(" {value}"))
                    .unwrap_or_default()
            };
            let error = span
                .status
                .as_ref()
                .map(|status| format!(" !{}", status.message.lines().next().unwrap_or_default()));
            writeln!(
                f,
                "{}{}{}{}{}",
                "  ".repeat(depth),
                span.name,
                what("stageflow.outcome"),
                what("error.type"),
                error.unwrap_or_default()
            )?;
            open.extend(below(&span.span_id).map(|span| (depth + 1, span)));
        }
        Ok(())
    }
}
