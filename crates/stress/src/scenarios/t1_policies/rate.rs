//! Who sends, how fast the sink takes it, and how much of it should be lost.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use stageflow::context::{ContextSnapshot, Note, RunId, RunIdentity, StageIndex, SystemIds};
use stageflow::events::{
    Batch, BoundedSink, Entry, Event, EventKind, EventSink as _, ExportError, Exporter, RunHeader,
    Stopping,
};
use tokio::time::Instant;

use super::Fault;
use super::case::{Case, Policy, SLOWER};
use super::model::Item;
use super::play::Outcome;
use crate::scenarios::d3_overflow;
use crate::stats::quantile;
use crate::{Breach, Lab, LabError, Op};

/// Somebody who emits: events with numbers of their own, under a header of its own.
pub(super) struct Producer {
    header: Arc<RunHeader>,
    next: u64,
    payload: Arc<Value>,
    /// Whether audit events are called that.
    lanes: bool,
}

impl Producer {
    pub(super) fn new(who: usize, lanes: bool) -> Self {
        let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
        let header = RunHeader::by_hand(
            ContextSnapshot::new(identity),
            who.to_string().into(),
            Arc::from([]),
            std::time::SystemTime::UNIX_EPOCH,
        );
        Self {
            header: Arc::new(header),
            next: 0,
            payload: Arc::new(Value::Null),
            lanes,
        }
    }

    /// Numbers for so many events.
    pub(super) fn next(&mut self, audits: &[bool]) -> impl Iterator<Item = (u64, bool)> {
        let first = self.next;
        self.next += audits.len() as u64;
        (first..).zip(audits.to_vec())
    }

    pub(super) fn batch(&self, items: &[Item]) -> Batch {
        let event = |item: &Item| {
            let audit = item.audit && self.lanes;
            let name = if audit { "audit.step" } else { "chain.step" };
            // A name that is well formed: there is always a note.
            let note = Note::new(name, Arc::clone(&self.payload)).ok()?;
            let kind = EventKind::Note {
                stage: StageIndex::new(0),
                attempt: 1,
                note: Box::new(note),
            };
            Some(Event::new(item.seq, item.seq, kind))
        };
        let events = items.iter().filter_map(event).collect();
        Batch::new(Arc::clone(&self.header), events)
    }

    /// One event more, of the lower lane.
    pub(super) fn one(&mut self) -> Batch {
        let (who, at) = (0, Duration::ZERO);
        let items: Vec<_> = self
            .next(&[false])
            .map(|(seq, audit)| Item {
                who,
                seq,
                audit,
                at,
            })
            .collect();
        self.batch(&items)
    }
}

/// Takes everything at once.
struct Fast;

#[async_trait]
impl Exporter for Fast {
    async fn export(&mut self, _entries: &[Entry]) -> Result<(), ExportError> {
        Ok(())
    }
}

/// How long a call takes while somebody else empties the sink.
pub(super) fn latency(lab: &mut Lab, fault: Option<Fault>) -> Result<(), LabError> {
    const CALLS: usize = 20_000;
    let (mut p50, mut p99, mut p999, mut most) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..7 {
        let taken = lab.on(crate::Runtime::Mt2, async {
            let capacity = NonZeroUsize::MIN.saturating_add(99);
            let sink = BoundedSink::builder(Fast).capacity(capacity).start();
            let mut producer = Producer::new(0, true);
            let mut taken = Vec::with_capacity(CALLS);
            for call in 0..CALLS {
                let batch = producer.one();
                let before = Instant::now();
                if fault == Some(Fault::Blocks) && call % 500 == 0 {
                    d3_overflow::hold(Duration::from_millis(1));
                }
                let _either = sink.try_emit(batch);
                taken.push(before.elapsed().as_secs_f64() * 1e6);
            }
            sink.stop(Stopping::Drain, Duration::from_secs(1)).await;
            taken
        })?;
        p50.push(quantile(&taken, 0.5));
        p99.push(quantile(&taken, 0.99));
        p999.push(quantile(&taken, 0.999));
        most = taken.iter().copied().fold(most, f64::max);
    }
    lab.samples("emit_us_p50", "us", p50);
    lab.samples("emit_us_p99", "us", p99);
    lab.samples("emit_us_p999", "us", p999);
    lab.metric("emit_us_max", "us", most);
    lab.law("emit_us_p999", Op::AtMost, 100.0);
    Ok(())
}

/// Holds a case of the catalogue against the theory, and writes it down.
pub(super) fn check(lab: &Lab, case: &Case, outcome: &Outcome) {
    if lab.is_over() {
        return;
    }
    let sums = outcome.sums;
    let offered = sums.offered.max(1) as f64;
    let rate = (sums.dropped + sums.discarded) as f64 / offered;
    // What is neither served nor fits into the queue is lost: 1 - µ/R - Q/(R·D), with the rate that was measured.
    let theory = match case.policy {
        Policy::Spill => 0.0,
        _ => (1.0 - outcome.served as f64 / offered - case.capacity as f64 / offered).max(0.0),
    };
    let of = |what: &str| format!("{what}_{}_{}", case.name, case.policy.name());
    lab.check(
        (rate - theory).abs() <= 0.02,
        "as many are lost as the theory says",
        Breach::UnaccountedDrop,
        || format!("{rate:.4} in case {}, the theory says {theory:.4}", of("")),
    );
    // Nobody waits longer than it was told to: five milliseconds are less than the stall.
    let may_lose = case.policy == Policy::Wait && case.stall.is_some();
    lab.check(
        outcome.audit_lost == 0 || may_lose || case.failing > 0,
        "no audit event is lost",
        Breach::Lost,
        || format!("{} in case {}", outcome.audit_lost, of("")),
    );
    if let Some([_, end]) = case.stall {
        let recovery = outcome.last_loss.saturating_sub(end) / SLOWER;
        let limit = case.service / SLOWER * case.capacity as u32 + Duration::from_millis(100);
        lab.check(
            recovery <= limit,
            "losses cease when the downstream is back",
            Breach::Hang,
            || {
                format!(
                    "the last came {recovery:?} after the stall in case {}",
                    of("")
                )
            },
        );
        lab.metric(&of("recovery_ms"), "ms", recovery.as_secs_f64() * 1e3);
    }
    lab.metric(&of("drop_rate_percent"), "%", rate * 100.0);
    lab.metric(&of("queue_depth_max"), "events", outcome.deepest as f64);
    lab.metric(&of("audit_lost"), "events", outcome.audit_lost as f64);
    lab.metric(
        &of("queue_depth_p99"),
        "events",
        quantile(&outcome.depths, 0.99),
    );
    for (name, share) in [("delivery_lag_ms_p50", 0.5), ("delivery_lag_ms_p99", 0.99)] {
        lab.metric(&of(name), "ms", quantile(&outcome.lags_ms, share));
    }
}
