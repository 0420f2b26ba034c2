//! Who a run is for, and what its sub-runs inherit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use stageflow_context::{
    CorrelationId, InteractionId, OrgId, RequestId, RunId, RunIdentity, SeededIds, SessionId,
    SpanId, TraceId, UserId,
};

fn full(ids: &SeededIds) -> RunIdentity {
    RunIdentity::new(RunId::generate(ids))
        .with_request_id(RequestId::generate(ids))
        .with_session_id(SessionId::generate(ids))
        .with_user_id(UserId::generate(ids))
        .with_org_id(OrgId::generate(ids))
        .with_interaction_id(InteractionId::generate(ids))
        .with_correlation_id(CorrelationId::generate(ids))
        .with_trace_id(TraceId::from_bytes([7; 16]).unwrap())
        .with_span_id(SpanId::from_bytes([8; 8]).unwrap())
}

#[test]
fn without_a_correlation_id_the_run_is_its_own_cause() {
    let run = RunId::generate(&SeededIds::new(1));
    assert_eq!(
        RunIdentity::new(run).correlation_id().as_uuid(),
        run.as_uuid()
    );
}

#[test]
fn a_child_differs_from_its_parent_in_the_run_and_the_lineage_only() {
    let ids = SeededIds::new(1);
    let parent = full(&ids);
    let child = parent.child(RunId::generate(&ids), "research").unwrap();
    assert_ne!(child.run_id(), parent.run_id());
    assert_eq!(child.depth(), 1);
    assert_eq!(
        child.parent().map(|from| (from.run_id(), from.stage())),
        Some((parent.run_id(), "research"))
    );
    assert_eq!(child.request_id(), parent.request_id());
    assert_eq!(child.session_id(), parent.session_id());
    assert_eq!(child.user_id(), parent.user_id());
    assert_eq!(child.org_id(), parent.org_id());
    assert_eq!(child.interaction_id(), parent.interaction_id());
    assert_eq!(child.correlation_id(), parent.correlation_id());
    assert_eq!(child.trace_id(), parent.trace_id());
    assert_eq!(child.span_id(), parent.span_id());
}

#[test]
fn lineage_goes_from_the_parent_to_the_root() {
    let ids = SeededIds::new(1);
    let root = full(&ids);
    let child = root.child(RunId::generate(&ids), "plan").unwrap();
    let grandchild = child.child(RunId::generate(&ids), "search").unwrap();
    let above: Vec<_> = grandchild
        .lineage()
        .map(|from| (from.run_id(), from.stage(), from.depth()))
        .collect();
    assert_eq!(
        above,
        [(child.run_id(), "search", 1), (root.run_id(), "plan", 0)]
    );
    assert_eq!(root.lineage().count(), 0);
}

#[test]
fn ancestors_are_shared_between_siblings() {
    let ids = SeededIds::new(1);
    let parent = full(&ids).child(RunId::generate(&ids), "a").unwrap();
    let one = parent.child(RunId::generate(&ids), "b").unwrap();
    let two = parent.child(RunId::generate(&ids), "c").unwrap();
    let grandparent = |run: &RunIdentity| std::ptr::from_ref(run.lineage().nth(1).unwrap());
    assert_eq!(grandparent(&one), grandparent(&two));
}

#[test]
fn the_depth_of_a_lineage_is_bounded() {
    let ids = SeededIds::new(1);
    let mut run = full(&ids);
    for depth in 1..=RunIdentity::MAX_DEPTH {
        run = run.child(RunId::generate(&ids), "again").unwrap();
        assert_eq!(run.depth(), depth);
        assert_eq!(run.lineage().count(), depth);
    }
    let error = run.child(RunId::generate(&ids), "again").unwrap_err();
    assert_eq!(error.code(), "SF0210");
    assert_eq!(error.run_id(), run.run_id());
    assert_eq!(
        error.to_string(),
        format!(
            "SF0210: stage `again` of {} cannot start another run: 64 stand above it already, which is the most; \
             look for a pipeline that starts itself",
            run.run_id()
        )
    );
}
