//! A tenant whose shelf takes nothing now keeps nothing of what happens from others.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{OrgId, StageIndex};
use stageflow_events::{
    Batch, BreakerPolicy, Event, EventKind, EventSink as _, RetryPolicy, RunHeader, Stopping,
};
use stageflow_store::{EventLog, StoreSink};

use crate::busy::{Busy, How};
use crate::new_store;
use crate::support::{AnyStore, header, org, scope};

fn batch(run: &Arc<RunHeader>, count: u64) -> Batch {
    let kind = || EventKind::StageStarted {
        stage: StageIndex::new(0),
        attempt: 1,
    };
    let events = (0..count).map(|seq| Event::new(seq, seq, kind()));
    Batch::new(Arc::clone(run), events.collect())
}

async fn kept(store: &AnyStore, org: OrgId, run: &RunHeader) -> usize {
    let log = EventLog::open(store, &scope(org)).await.unwrap();
    let run = run.identity().run_id();
    log.of_run(run, 0, 100).await.unwrap().len()
}

#[tokio::test]
async fn what_happens_in_runs_of_others_is_kept_at_once_and_once() {
    let store = new_store();
    let (a, b) = (org(), org());
    let runs = [a, b].map(|org| header(org, None));
    let busy = Busy::over(&store);
    let gate = busy.be(b, How::BusyThenAt(1));
    let (tries, soon) = (NonZeroU32::new(3).unwrap(), Duration::from_millis(1));
    let rest = BreakerPolicy::new(NonZeroU32::MIN, Duration::from_hours(1));
    let sink = StoreSink::shaped(Arc::new(busy.clone()), |builder| {
        let builder = builder.retry(RetryPolicy::new(tries, soon, soon));
        builder.breaker(rest)
    });
    assert_eq!(sink.try_emit(batch(&runs[1], 2)).accepted, 2);
    assert_eq!(sink.try_emit(batch(&runs[0], 3)).accepted, 3);
    gate.crowd(1).await;
    assert_eq!(kept(&store, a, &runs[0]).await, 3);
    gate.open();
    sink.close(Stopping::Drain, Duration::from_mins(1)).await;
    let counts = sink.counts();
    let told = (counts.delivered, counts.failed, counts.discarded);
    assert_eq!(told, (3, 2, 0));
    assert_eq!([a, b].map(|org| busy.commits(org)), [1, 3]);
    assert_eq!(kept(&store, b, &runs[1]).await, 0);
}
