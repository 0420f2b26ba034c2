//! The open spans of one run.

use std::collections::HashMap;
use std::sync::Arc;

use stageflow_context::{RunId, RunIdentity, StageIndex, Wiring};

use super::open::{End, Open};
use crate::metrics::{Metrics, Source};
use crate::request::Items;
use crate::said::Said;
use crate::semconv;
use crate::{Content, Ratio};

pub(super) struct OpenRun {
    pub(super) spans: HashMap<[u8; 8], Open>,
    pub(super) is_sampled: bool,
    /// When something was last heard of it.
    pub(super) last: u64,
    source: Source,
    identity: Option<RunIdentity>,
    wiring: Option<Arc<Wiring>>,
    /// The numbers of its stages, made when records come without them.
    numbers: HashMap<Arc<str>, u32>,
}

impl OpenRun {
    pub(super) fn new(said: &Said, sample: Ratio) -> Self {
        let id: Option<RunId> = said.record.run_id.parse().ok();
        Self {
            spans: HashMap::new(),
            is_sampled: said.is_sampled(sample),
            last: said.at(),
            source: Source::of(said),
            identity: id.map(RunIdentity::new),
            wiring: said.wiring().map(Arc::clone),
            numbers: HashMap::new(),
        }
    }

    pub(super) fn open(&mut self, said: &Said, open: Open) {
        self.heard(said);
        self.spans.insert(said.span, open);
    }

    /// Ends the span that `said` closes, if it was opened.
    pub(super) fn close(&mut self, said: &Said, metrics: &mut Metrics, out: &mut Items) {
        if let Some(open) = self.take(said, metrics) {
            self.write(said.span, open, &End::of(said), out);
        }
    }

    /// The open span that `said` closes.
    pub(super) fn take(&mut self, said: &Said, metrics: &mut Metrics) -> Option<Open> {
        self.heard(said);
        let Some(open) = self.spans.remove(&said.span) else {
            metrics.unmatched();
            return None;
        };
        if said.kind() == "operation.ended" {
            metrics.operation(said, said.at().saturating_sub(open.start), self.is_sampled);
        }
        Some(open)
    }

    /// Writes a span that has ended, if the trace is sent.
    pub(super) fn write(&self, id: [u8; 8], open: Open, end: &End, out: &mut Items) {
        if self.is_sampled {
            open.end(id, end, out);
        }
    }

    /// Something happened in a span.
    pub(super) fn add(&mut self, said: &Said, content: Content) {
        self.heard(said);
        // What a stage says after the end of its attempt is in the log.
        if let Some(open) = self.spans.get_mut(&said.span) {
            open.add(said, content);
        }
    }

    /// An attempt of a stage starts: its stage's span is opened by the first one.
    pub(super) fn begin_stage(&mut self, said: &Said) {
        let Some(id) = said.parent else { return };
        match self.spans.get_mut(&id) {
            Some(open) => open.ended = None,
            None => self.open_stage(id, said),
        }
    }

    /// An attempt of a stage ended, and so did the stage if no other attempt comes.
    pub(super) fn end_stage(&mut self, stage: [u8; 8], said: &Said) {
        if let Some(open) = self.spans.get_mut(&stage) {
            open.ended = Some(End::of(said));
        }
    }

    /// A stage got its ending without an attempt, or another one than that of its last attempt.
    pub(super) fn settle_stage(&mut self, said: &Said) {
        self.heard(said);
        if !self.spans.contains_key(&said.span) {
            self.open_stage(said.span, said);
        }
        self.end_stage(said.span, said);
    }

    /// Ends the stages whose last attempt has ended.
    pub(super) fn end_settled(&mut self, metrics: &mut Metrics, out: &mut Items) {
        let settled = self.spans.extract_if(|_, open| open.ended.is_some());
        let settled: Vec<_> = settled.collect();
        self.send(settled, None, metrics, out);
    }

    /// Ends everything: what is not known to have ended is `unfinished`, at the time `at`.
    pub(super) fn end_all(&mut self, at: u64, metrics: &mut Metrics, out: &mut Items) {
        let all: Vec<_> = self.spans.drain().collect();
        self.send(all, Some(at), metrics, out);
    }

    fn send(
        &self,
        mut spans: Vec<([u8; 8], Open)>,
        at: Option<u64>,
        metrics: &mut Metrics,
        out: &mut Items,
    ) {
        // What was opened first comes first, whatever order the table has.
        spans.sort_by_key(|(id, open)| (open.start, *id));
        for (id, mut open) in spans {
            let end = open.ended.take().unwrap_or_else(|| {
                metrics.unfinished();
                End::unfinished(at.unwrap_or(self.last))
            });
            if open.is_stage {
                let took = end.at.saturating_sub(open.start);
                let stage = open.name.strip_prefix("stage ").unwrap_or(&open.name);
                let source = self.source.at(id, self.is_sampled, end.at);
                metrics.stage(&source, stage, end.outcome, took);
            }
            self.write(id, open, &end, out);
        }
    }

    fn open_stage(&mut self, id: [u8; 8], said: &Said) {
        let run = self.identity.as_ref().map(|run| run.run_span().to_bytes());
        let mut open = Open::stage(said, run);
        if let Some((identity, wiring, wire)) = self.wire(said) {
            open.with(semconv::STAGE_KIND, &wire.kind);
            if let [_, _, ..] = &*wire.after {
                for &upstream in &wire.after {
                    let index = StageIndex::new(upstream);
                    let name = wiring.get(index).map_or("", |wire| &*wire.name);
                    open.link_upstream(identity.stage_span(index).to_bytes(), name);
                }
            }
        }
        self.spans.insert(id, open);
    }

    /// What the stage waits for.
    fn wire(&mut self, said: &Said) -> Option<(&RunIdentity, &Wiring, &stageflow_context::Wire)> {
        let wiring = self.wiring.as_deref()?;
        let number = said.stage.or_else(|| {
            if self.numbers.is_empty() {
                let numbered = wiring.wires().iter().zip(0..);
                self.numbers = numbered
                    .map(|(wire, number)| (Arc::clone(&wire.name), number))
                    .collect();
            }
            self.numbers.get(said.record.stage.as_deref()?).copied()
        });
        let wire = wiring.get(StageIndex::new(number?))?;
        Some((self.identity.as_ref()?, wiring, wire))
    }

    fn heard(&mut self, said: &Said) {
        self.last = self.last.max(said.at());
        if self.wiring.is_none() {
            self.wiring = said.wiring().map(Arc::clone);
        }
    }
}
