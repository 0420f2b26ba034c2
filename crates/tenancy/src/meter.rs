//! The events of each tenant, counted.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stageflow_events::{
    Batch, Event, EventRecord, EventSink, Lane, Receipt, RunHeader, StoppedSink, Stopping,
    json_line,
};

use crate::rate::Rate;
use crate::registry::{Member, Plan};
use crate::{EventUsage, Tenants};

/// Counts the events of each tenant on their way to another sink, and holds them to its quota. Made by [`Tenants::meter`].
///
/// A tenant that has more events or bytes in a second than its tier says loses those of the telemetry lane, what its stages say of
/// their own; each is counted with the reason ([`Tenants::usage`]), and leaves a gap in the numbers of its run. Events of the audit lane go
/// through whatever the quota says, and are counted as [`over`](EventUsage::over). An event that is dropped for its bytes has
/// counted as an event.
///
/// Bytes are those of the event's record as a line of JSON ([`json_line`]), without the line break. Every event is written once
/// to be counted: that costs about as much as writing it.
///
/// Of each tenant, `offered = accepted + dropped`, at any moment. Events of runs whose org nobody knows are counted in
/// [`Tenants::strangers`], and held to nothing.
pub struct MeteredSink<S> {
    tenants: Tenants,
    sink: S,
}

impl<S> MeteredSink<S> {
    pub(crate) fn new(tenants: Tenants, sink: S) -> Self {
        Self { tenants, sink }
    }

    /// What is behind it.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.sink
    }

    fn sift(&self, batch: Batch) -> (Batch, Account) {
        let org = batch.run.identity().org_id();
        let member = org.and_then(|org| self.tenants.0.find(org));
        let plan = member.as_ref().map(|member| member.any_plan());
        let mut account = Account {
            tenants: self.tenants.clone(),
            member,
            usage: EventUsage::default(),
            passed: 0,
        };
        let Batch {
            run, mut events, ..
        } = batch;
        let usage = &mut account.usage;
        events.retain(|event| pass(&run, event, plan.as_deref(), usage));
        account.passed = events.len() as u64;
        (Batch::new(run, events), account)
    }
}

/// Counts an event, and says whether it may go on.
fn pass(run: &RunHeader, event: &Event, plan: Option<&Plan>, usage: &mut EventUsage) -> bool {
    let bytes = bytes(run, event);
    usage.offered += 1;
    usage.bytes += bytes;
    let Some(plan) = plan else {
        return true;
    };
    let has_event = plan.events.as_ref().is_none_or(|rate| took(rate, 1));
    // What is not going on for another reason has written nothing.
    let is_audit = Lane::of(event.kind()) == Lane::Audit;
    let may_write = has_event || is_audit;
    let has_bytes = !may_write || plan.bytes.as_ref().is_none_or(|rate| took(rate, bytes));
    if has_event && has_bytes {
        return true;
    }
    if is_audit {
        usage.over += 1;
        return true;
    }
    if has_event {
        usage.dropped_bytes += 1;
    } else {
        usage.dropped_events += 1;
    }
    false
}

fn took(rate: &Rate, cells: u64) -> bool {
    let cells = u32::try_from(cells).unwrap_or(u32::MAX);
    NonZeroU32::new(cells).is_none_or(|cells| rate.take(cells).is_ok())
}

/// As its record is written.
fn bytes(run: &RunHeader, event: &Event) -> u64 {
    // A record has nothing in it that cannot be written.
    json_line(&EventRecord::new(run, event)).map_or(0, |line| line.len() as u64)
}

/// What is to be entered for a batch. If nobody says what became of it, it was not taken.
struct Account {
    tenants: Tenants,
    member: Option<Arc<Member>>,
    usage: EventUsage,
    /// How many were handed on, and are not entered.
    passed: u64,
}

impl Account {
    /// What the sink took is entered, and what it is told of the batch.
    fn close(mut self, receipt: Receipt) -> Receipt {
        let accepted = receipt.accepted.min(self.passed);
        self.usage.accepted = accepted;
        self.passed -= accepted;
        let dropped = self.usage.offered - accepted;
        Receipt::new(accepted, dropped)
            .with_dropped_audit(receipt.dropped_audit)
            .with_evicted(receipt.evicted)
    }

    fn book(&self) -> MutexGuard<'_, EventUsage> {
        match &self.member {
            Some(member) => member.events(),
            None => self.tenants.0.stranger_events(),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.usage.dropped_by_sink = self.passed;
        self.book().absorb(&self.usage);
    }
}

#[async_trait]
impl<S: EventSink> EventSink for MeteredSink<S> {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let (batch, account) = self.sift(batch);
        let receipt = match batch.events.is_empty() {
            true => Receipt::default(),
            false => self.sink.try_emit(batch),
        };
        account.close(receipt)
    }

    /// Cancellation: as safe as that of the sink behind it. If it is dropped, the events count as not taken.
    async fn emit(&self, batch: Batch) -> Receipt {
        let (batch, account) = self.sift(batch);
        let receipt = match batch.events.is_empty() {
            true => Receipt::default(),
            false => self.sink.emit(batch).await,
        };
        account.close(receipt)
    }

    fn try_record(&self, record: &Arc<EventRecord>) -> Receipt {
        self.sink.try_record(record)
    }

    async fn flush(&self) {
        self.sink.flush().await;
    }

    async fn close(&self, stopping: Stopping, deadline: Duration) -> Vec<StoppedSink> {
        self.sink.close(stopping, deadline).await
    }
}

impl<S> fmt::Debug for MeteredSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredSink")
            .field("tenants", &self.tenants)
            .finish_non_exhaustive()
    }
}
