//! What a stage sees of its run.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::json;
use stageflow::context::{
    CorrelationId, Message, OrgId, RunId, SealErrorKind, SealKey, SealKeys, Sealed, SeededIds,
    UserId,
};
use stageflow::executor::RunReport;
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::{Lab, PLACEMENTS, placed, watched};

/// Runs one stage that looks at its context.
async fn look<T, F>(lab: &Lab, options: RunOptions, look: F) -> RunReport<T>
where
    T: Send + Sync + 'static,
    F: Fn(&StageCx) -> T + Send + Sync + 'static,
{
    let mut p = Pipeline::builder("look");
    let n = p.input::<u64>();
    let stage = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
        let seen = look(&cx);
        async move { Ok(seen) }
    });
    let a = p.stage("a", stage).after(n);
    let pipeline = p.output(a).build().unwrap();
    lab.engine.run(&pipeline, 1, options).await
}

#[tokio::test]
async fn a_run_without_an_identity_gets_one_of_its_own() {
    let lab = Lab::with(|builder| builder.ids(SeededIds::new(7)));
    let expected = SeededIds::new(7);
    for _ in 0..3 {
        let report = look(&lab, RunOptions::new(), |cx| cx.run_id()).await;
        assert_eq!(
            (report.output().unwrap(), report.id()),
            (&RunId::generate(&expected), report.id())
        );
        assert_eq!(
            report.identity().correlation_id(),
            CorrelationId::from(report.id())
        );
    }
    let runs = lab.sink.runs();
    assert_eq!(runs.len(), 3, "each has an id of its own");
}

#[tokio::test]
async fn stages_reports_and_events_agree_on_who_the_run_is_for() {
    let lab = Lab::new();
    let ids = SeededIds::new(1);
    let (org, user) = (OrgId::generate(&ids), UserId::generate(&ids));
    let identity = RunIdentity::new(RunId::generate(&ids))
        .with_org_id(org)
        .with_user_id(user);
    let report = look(&lab, RunOptions::new().identity(identity.clone()), |cx| {
        cx.identity().clone()
    })
    .await;
    assert_eq!(
        (report.output().unwrap(), report.identity()),
        (&identity, &identity)
    );
    assert!(
        lab.sink
            .all()
            .iter()
            .all(|recorded| recorded.run.identity() == &identity)
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_snapshot_reaches_every_stage_unchanged_and_shared() {
    let lab = Lab::new();
    let ids = SeededIds::new(1);
    let known = ContextSnapshot::new(RunIdentity::new(RunId::generate(&ids)))
        .with_message(Message::user("how far is the moon?"))
        .with_metadata("channel", json!("web"))
        .unwrap();
    for placement in PLACEMENTS {
        let mut p = Pipeline::builder("known");
        let n = p.input::<u64>();
        let see = |name: &str, p: &mut stageflow::graph::PipelineBuilder<u64>| {
            let stage = watched(&lab.probe, async |cx: StageCx, _: Arc<u64>| {
                let last = cx
                    .snapshot()
                    .conversation()
                    .last_user()
                    .map(|message| message.content().to_owned());
                Ok((
                    last,
                    std::ptr::from_ref(cx.snapshot().conversation()) as usize,
                ))
            });
            placed(p.stage(name, stage), placement).after(n)
        };
        let (a, b) = (see("a", &mut p), see("b", &mut p));
        type Seen = (Option<String>, usize);
        let both = p
            .stage(
                "both",
                stage_fn(async |_cx, both: (Arc<Seen>, Arc<Seen>)| Ok(both)),
            )
            .after((a, b));
        let pipeline = p.output(both).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, 1, RunOptions::new().snapshot(known.clone()))
            .await;
        let (a, b) = report.output().unwrap();
        assert_eq!(a.0.as_deref(), Some("how far is the moon?"));
        let shared = std::ptr::from_ref(known.conversation()) as usize;
        assert_eq!((a.1, b.1), (shared, shared), "nothing was copied");
        assert_eq!(report.id(), known.run_id());
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn an_identity_over_a_snapshot_replaces_only_who() {
    let lab = Lab::new();
    let ids = SeededIds::new(1);
    let known =
        ContextSnapshot::new(RunIdentity::new(RunId::generate(&ids))).with_input_text("hello");
    let identity = RunIdentity::new(RunId::generate(&ids));
    let options = RunOptions::new()
        .snapshot(known.clone())
        .identity(identity.clone());
    let report = look(&lab, options, |cx| {
        cx.snapshot().input_text().map(str::to_owned)
    })
    .await;
    assert_eq!(
        (report.output().unwrap().as_deref(), report.identity()),
        (Some("hello"), &identity)
    );
    assert_ne!(known.identity(), &identity);
}

#[tokio::test(start_paused = true)]
async fn a_stage_sees_how_much_time_is_left() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("time");
    let n = p.input::<u64>();
    let wait = p
        .stage("wait", script::ok::<Arc<u64>, u64>(1).taking(2.secs()))
        .after(n);
    let left = p.stage(
        "left",
        stage_fn(async |cx: StageCx, _: Arc<u64>| Ok((cx.remaining(), cx.deadline().is_some()))),
    );
    let left = left.after(wait);
    let pipeline = p.output(left).build().unwrap();
    let limited = lab
        .engine
        .run(&pipeline, 1, RunOptions::new().deadline(5.secs()))
        .await;
    assert_eq!(limited.output().unwrap(), &(Some(3.secs()), true));
    let free = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(free.output().unwrap(), &(None, false));
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_knows_its_name_its_place_and_its_attempt() {
    let lab = Lab::new();
    let report = look(&lab, RunOptions::new(), |cx| {
        (
            cx.stage().to_string(),
            cx.index().get(),
            cx.attempt().get(),
            cx.is_cancelled(),
            format!("{cx:?}"),
        )
    })
    .await;
    let (name, index, attempt, cancelled, debug) = report.output().unwrap();
    assert_eq!(
        (name.as_str(), *index, *attempt, *cancelled),
        ("a", 0, 1, false)
    );
    assert!(debug.contains(&report.id().to_string()), "{debug}");
}

/// Where a value lies, and how long it is.
type Place = (usize, usize);

#[tokio::test]
async fn values_reach_dependents_shared_and_not_copied() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("big");
    let n = p.input::<u64>();
    let big = p
        .stage(
            "big",
            stage_fn(async |_cx, _: Arc<u64>| Ok(vec![7_u8; 64 << 20])),
        )
        .after(n);
    let at = |_cx: StageCx, big: Arc<Vec<u8>>| async move {
        Ok::<_, Stop>((big.as_ptr() as usize, big.len()))
    };
    let inline = p.stage("inline", stage_fn(at)).after(big);
    let spawned = p.stage("spawned", stage_fn(at)).spawn().after(big);
    let both = p.stage(
        "both",
        stage_fn(async |_cx, (a, b): (Arc<Place>, Arc<Place>)| Ok((*a, *b))),
    );
    let both = both.after((inline, spawned));
    let pipeline = p.output(both).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let (a, b) = report.output().unwrap();
    assert_eq!((a, a.1), (b, 64 << 20));
    let kept = report.value(big).unwrap();
    assert_eq!(kept.as_ptr() as usize, a.0);
    drop(report);
    assert_eq!(
        Arc::strong_count(&kept),
        1,
        "a run that is over holds nothing"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn the_width_of_a_run_is_its_own() {
    let lab = Lab::with(|builder| builder.concurrency(NonZeroUsize::new(2).unwrap()));
    let mut p = Pipeline::builder("width");
    let n = p.input::<u64>();
    let all: Vec<_> = (0..6)
        .map(|i| {
            p.stage(
                format!("s{i}"),
                script::ok::<Arc<u64>, u64>(i)
                    .yielding(2)
                    .watched_by(&lab.probe),
            )
            .after(n)
        })
        .collect();
    let join = p
        .stage("join", script::ok::<Vec<Arc<u64>>, u64>(0))
        .after(all);
    let pipeline = p.output(join).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(lab.probe.peak(), 2, "the engine's");
    lab.engine
        .run(
            &pipeline,
            1,
            RunOptions::new().concurrency(NonZeroUsize::new(5).unwrap()),
        )
        .await;
    assert_eq!(lab.probe.peak(), 5, "the run's");
    lab.assert_nothing_left().await;
}

/// What a stage is told of an org: the attack is to have it told somebody else's.
#[tokio::test]
async fn a_session_under_a_seal_goes_on_for_its_own_org_and_run_only() {
    let lab = Lab::new();
    let ids = SeededIds::new(3);
    let keys = SealKeys::new(SealKey::new(1, [17; 32]));
    let (org, other) = (OrgId::generate(&ids), OrgId::generate(&ids));
    let mut session =
        ContextSnapshot::new(RunIdentity::new(RunId::generate(&ids)).with_org_id(org));
    for turn in 1..=3 {
        let before = session.run_id();
        let kept = session
            .with_message(Message::user("and then?"))
            .seal(&keys)
            .unwrap();
        for (org, run, expected) in [
            (Some(other), before, SealErrorKind::WrongOrg),
            (None, before, SealErrorKind::WrongOrg),
            (Some(org), RunId::generate(&ids), SealErrorKind::WrongRun),
        ] {
            let refused = ContextSnapshot::from_sealed(&kept, &keys, org, run).unwrap_err();
            assert_eq!(refused.kind(), expected);
        }
        // A text can be altered so that its own digest is right again; bytes under a seal cannot.
        let text = kept.as_bytes().to_vec();
        let altered = replaced(&text, &org.to_string(), &other.to_string());
        for org in [org, other] {
            let altered = Sealed::from_bytes(altered.clone());
            assert!(ContextSnapshot::from_sealed(&altered, &keys, org, before).is_err());
        }
        session = ContextSnapshot::from_sealed(&kept, &keys, org, before).unwrap();
        let next = RunIdentity::new(RunId::generate(&ids)).with_org_id(org);
        let options = RunOptions::new()
            .snapshot(session.clone())
            .identity(next.clone());
        let seen = look(&lab, options, |cx| {
            (cx.identity().org_id(), cx.snapshot().conversation().len())
        });
        assert_eq!(seen.await.output().unwrap(), &(Some(org), turn));
        session = session.fork(next);
    }
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the org is in the bytes");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}
