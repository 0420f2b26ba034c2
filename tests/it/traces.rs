//! Runs in the trace that their request came with, and what goes on to those they call.

use std::sync::Arc;

use stageflow::context::{
    OperationCx, RunId, SeededIds, SpanId, StageIndex, TraceContext, TraceFlags, TraceId,
    TraceParent,
};
use stageflow::events::EventRecord;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use crate::support::{Lab, alone, undisturbed};

fn came(flags: TraceFlags) -> TraceParent {
    TraceParent::new(
        TraceId::from_bytes([7; 16]).unwrap(),
        SpanId::from_bytes([9; 8]).unwrap(),
        flags,
    )
}

fn options(flags: TraceFlags) -> RunOptions {
    RunOptions::new().trace(TraceContext::below(came(flags)))
}

/// What the stage and its call say of where they are.
type Said = (TraceParent, TraceParent, Vec<(&'static str, String)>);

fn says() -> Pipeline<u64, Said> {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        cx.operation(Operation::tool("t"), async |op: OperationCx| {
            Ok::<Said, Stop>((cx.trace_parent(), op.trace_parent(), op.trace_headers()))
        })
        .await
    });
    alone(stage, Placement::Inline)
}

fn records(sink: &RecordingSink) -> Vec<EventRecord> {
    let all = sink.all();
    all.iter()
        .map(|one| EventRecord::new(&one.run, &one.event))
        .collect()
}

#[tokio::test]
async fn a_run_lies_below_the_span_it_came_from() {
    let lab = Lab::new();
    let report = lab
        .engine
        .run(&says(), 1, options(TraceFlags::SAMPLED))
        .await;
    let identity = report.identity();
    assert_eq!(identity.trace(), came(TraceFlags::SAMPLED).trace_id);
    assert_eq!(identity.span_id(), Some(came(TraceFlags::SAMPLED).span_id));
    for record in records(&lab.sink) {
        assert_eq!(record.trace_id, "07".repeat(16));
        assert_eq!(
            record.kind.starts_with("run."),
            record.parent_span_id == Some("09".repeat(8))
        );
    }
}

#[tokio::test]
async fn what_goes_on_names_the_span_it_comes_from_and_keeps_the_flags() {
    for flags in [TraceFlags::SAMPLED, TraceFlags::default()] {
        let report = undisturbed().build().run(&says(), 1, options(flags)).await;
        let (stage, call, headers) = report.output().unwrap();
        let (identity, trace) = (report.identity(), came(flags).trace_id);
        let attempt = identity.attempt_span(StageIndex::new(0), 1);
        assert_eq!(*stage, TraceParent::new(trace, attempt, flags));
        assert_eq!(
            *call,
            TraceParent::new(trace, identity.operation_span(0), flags)
        );
        assert_eq!(headers[0], ("traceparent", call.to_string()));
    }
}

#[tokio::test]
async fn a_run_that_came_with_nothing_is_a_trace_of_its_own_and_sampled() {
    let report = undisturbed()
        .build()
        .run(&says(), 1, RunOptions::new())
        .await;
    let (stage, ..) = report.output().unwrap();
    assert_eq!(stage.trace_id, report.identity().trace());
    assert_eq!(report.identity().span_id(), None);
    assert!(stage.flags.is_sampled());
}

#[tokio::test]
async fn an_identity_with_a_trace_of_its_own_keeps_it() {
    let own = TraceId::from_bytes([3; 16]).unwrap();
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1))).with_trace_id(own);
    let options = options(TraceFlags::SAMPLED).identity(identity);
    let report = undisturbed().build().run(&says(), 1, options).await;
    assert_eq!(report.identity().trace(), own);
    assert_eq!(report.identity().span_id(), None);
}

#[tokio::test]
async fn what_came_reaches_the_header_and_every_run_inside() {
    let sink = RecordingSink::new();
    let engine = undisturbed().events(sink.clone()).build();
    let child = says();
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let a = p.stage("a", sub(&child)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = engine
        .run(&pipeline, 1, options(TraceFlags::default()))
        .await;
    assert_eq!(sink.runs().len(), 2);
    for recorded in sink.all() {
        let parent = recorded
            .run
            .trace()
            .and_then(|trace| trace.parent().copied());
        assert_eq!(parent, Some(came(TraceFlags::default())));
        assert_eq!(recorded.run.identity().trace(), report.identity().trace());
    }
    let (stage, ..) = report.output().unwrap();
    assert!(!stage.flags.is_sampled());
}

/// The child's span lies in the attempt, or the part, that started it.
#[tokio::test]
async fn a_run_inside_lies_in_the_attempt_that_started_it() {
    let lab = Lab::new();
    let child = says();
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let items = stage_fn(async |_cx, n: Arc<u64>| Ok(vec![Arc::clone(&n), n]));
    let items = p.stage("items", items).after(n);
    let each = map(sub(&child));
    let all = p.stage("all", each).after(items);
    let pipeline = p.output(all).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let records = records(&lab.sink);
    let span = |kind: &str, part: &str| {
        let mut found = records
            .iter()
            .filter(|record| record.kind == kind && record.part.as_deref() == Some(part));
        found.next().map(|record| record.span_id.clone())
    };
    let parents: Vec<_> = records
        .iter()
        .filter(|record| record.kind == "run.started" && record.parent_run_id.is_some())
        .map(|record| (record.parent_span_id.clone(), record.parent_stage.clone()))
        .collect();
    assert_eq!(
        parents,
        [
            (span("part.started", "[0]"), Some("all[0]".to_owned())),
            (span("part.started", "[1]"), Some("all[1]".to_owned())),
        ]
    );
}
