//! The report: one shape for every ending, with everything that was finished.

use std::sync::Arc;

use serde_json::json;
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Scripted, script};

use crate::support::{Lab, OpenInTheEnd, outcomes, texts};

type Stage = Scripted<Arc<u64>, u64>;

#[tokio::test(start_paused = true)]
async fn whatever_ends_a_run_what_was_finished_is_kept_and_what_was_not_is_named() {
    type Make = fn() -> Stage;
    let endings: [(&str, Make, Outcome, Outcome); 6] = [
        (
            "failure",
            || script::fail("no"),
            Outcome::Failed,
            Outcome::Failed,
        ),
        (
            "panic",
            || script::panic("no"),
            Outcome::Failed,
            Outcome::Failed,
        ),
        ("timeout", script::hang, Outcome::Failed, Outcome::TimedOut),
        (
            "cancel",
            || script::cancel("no"),
            Outcome::Cancelled,
            Outcome::Cancelled,
        ),
        (
            "retry",
            || script::retry("no"),
            Outcome::Failed,
            Outcome::Failed,
        ),
        (
            "deadline",
            script::hang,
            Outcome::TimedOut,
            Outcome::Cancelled,
        ),
    ];
    for (ending, make, run, stage) in endings {
        let lab = Lab::new();
        let gate = Gate::new();
        let mut p = Pipeline::builder("a21");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok::<_, u64>(1)).after(n);
        let b = p
            .stage("b", Stage::taking(script::ok(2), 10.millis()))
            .after(a);
        let c = p
            .stage("c", Stage::taking(script::ok(3), 20.millis()))
            .after(a);
        let d = make().taking(50.millis());
        let d = p
            .stage("d", d)
            .timeout(if ending == "timeout" {
                60.millis()
            } else {
                (60).mins()
            })
            .after(a);
        let e = p.stage("e", Stage::behind(script::ok(5), &gate)).after(a);
        let f = p
            .stage("f", script::ok::<Vec<Arc<u64>>, u64>(6))
            .after(vec![b, c, d, e]);
        let pipeline = p.output(f).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, 0, RunOptions::new().deadline(100.millis()))
            .await;
        let values = [a, b, c, d, e, f].map(|handle| report.value(handle).map(|value| *value));
        assert_eq!(
            values,
            [Some(1), Some(2), Some(3), None, None, None],
            "{ending}"
        );
        let expected = [
            "a succeeded",
            "b succeeded",
            "c succeeded",
            &format!("d {stage}"),
            "e cancelled",
            "f cancelled",
        ];
        assert_eq!(
            (report.outcome(), outcomes(&report)),
            (run, expected.map(str::to_owned).to_vec()),
            "{ending}"
        );
        let never = report.stage("f").unwrap();
        assert_eq!(
            (
                never.attempts(),
                never.started(),
                never.ended(),
                never.duration()
            ),
            (0, None, None, 0.secs())
        );
        assert!(report.output().is_err() && !report.is_success());
        assert_eq!(
            report.value(n).as_deref(),
            Some(&0),
            "the input is a value, too"
        );
        let id = report.id();
        assert!(report.into_output().is_err());
        assert!(id.to_string().starts_with("run_"));
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn of_several_errors_the_one_that_decided_comes_first_and_the_others_in_their_order() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("several");
    let n = p.input::<u64>();
    let first = p
        .stage("first", script::fail::<Arc<u64>, u64>("1"))
        .optional()
        .after(n);
    let second = p
        .stage("second", script::panic::<Arc<u64>, u64>("2").yielding(1))
        .optional()
        .after(n);
    let decides = p
        .stage("decides", script::fail::<Arc<u64>, u64>("3").yielding(2))
        .after(n);
    let all = p
        .stage(
            "all",
            script::ok::<(Arc<Option<u64>>, Arc<Option<u64>>, Arc<u64>), u64>(0),
        )
        .after((first, second, decides));
    let pipeline = p.output(all).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    let stages: Vec<_> = report
        .errors()
        .iter()
        .map(|error| error.stage().to_string())
        .collect();
    assert_eq!(stages, ["decides", "first", "second"]);
    assert_eq!(report.error().unwrap().stage().as_str(), "decides");
    for name in ["first", "second", "decides"] {
        assert_eq!(
            report
                .stage(name)
                .unwrap()
                .error()
                .unwrap()
                .stage()
                .as_str(),
            name
        );
    }
    let error = report.output().unwrap_err();
    assert!(
        matches!(error.kind(), RunErrorKind::Failed(error) if error.stage().as_str() == "decides")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_spawned_stage_that_fails_while_it_is_stopped_is_reported_after_the_first() {
    let lab = Lab::new();
    let (inside, go_on) = (Gate::new(), Gate::new());
    let _go_on = OpenInTheEnd(&go_on);
    let mut p = Pipeline::builder("late");
    let n = p.input::<u64>();
    let (enter, leave) = (inside.clone(), go_on.clone());
    let late = stage_fn(move |_cx: StageCx, _: Arc<u64>| {
        enter.open();
        leave.hold_thread();
        async { Err::<u64, _>(Stop::fail("too late")) }
    });
    let late = p.stage("late", late).blocking().after(n);
    let first = script::fail::<Arc<u64>, u64>("first").behind(&inside);
    let first = p.stage("first", first).after(n);
    let all = p
        .stage("all", script::ok::<(Arc<u64>, Arc<u64>), u64>(0))
        .after((late, first));
    let pipeline = p.output(all).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 0, RunOptions::new()));
    while futures_util::poll!(&mut run).is_pending()
        && lab
            .sink
            .names()
            .iter()
            .filter(|name| *name == "stage.ended")
            .count()
            < 1
    {
        tokio::task::yield_now().await;
    }
    go_on.open();
    let report = run.await;
    assert_eq!(
        texts(report.errors().iter().map(StageError::stage)),
        ["first", "late"]
    );
    assert_eq!(
        (report.outcome(), report.error().unwrap().stage().as_str()),
        (Outcome::Failed, "first")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn what_stages_record_is_kept_with_who_wrote_it_and_conflicts_name_both() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("records");
    let n = p.input::<u64>();
    let a = p.stage(
        "a",
        stage_fn(async |cx: StageCx, n: Arc<u64>| {
            cx.record("score", 0.5_f64)?;
            Ok(*n)
        }),
    );
    let a = a.after(n);
    let b = p.stage(
        "b",
        stage_fn(async |cx: StageCx, n: Arc<u64>| {
            let conflict = cx.record("score", 0.9_f64).unwrap_err();
            cx.record("conflict", conflict.to_string())?;
            Ok(*n)
        }),
    );
    let b = b.after(a);
    let pipeline = p.output(b).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let recorded = report.recorded().unwrap();
    assert_eq!(
        recorded.get::<f64>("score").unwrap().as_deref(),
        Some(&0.5),
        "the first value stays"
    );
    assert_eq!(recorded.entry("score").unwrap().writer(), "a");
    let conflict = recorded.get::<String>("conflict").unwrap().unwrap();
    assert!(
        conflict.contains("`b`") && conflict.contains("`a`"),
        "{conflict}"
    );
    let other = lab.engine.run(&pipeline, 2, RunOptions::new()).await;
    assert_eq!(
        other.recorded().unwrap().len(),
        2,
        "a run of its own has records of its own"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_report_does_not_change_after_the_end_of_its_run() {
    let lab = Lab::new();
    let (keep, kept) = tokio::sync::oneshot::channel();
    let keep = std::sync::Mutex::new(Some(keep));
    let mut p = Pipeline::builder("kept");
    let n = p.input::<u64>();
    let a = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        cx.record("in-time", 1_u8).unwrap();
        keep.lock().unwrap().take().unwrap().send(cx).unwrap();
        async move { Ok::<_, Stop>(*n) }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let handle = run.handle();
    let report = run.await;
    let cx: StageCx = kept.await.unwrap();
    let before = format!(
        "{report:?} {:?} {:?} {:?}",
        report.recorded(),
        report.events(),
        report.cancel_reason()
    );
    let _ = cx.record("too-late", 2_u8);
    let _ = cx.try_emit("too.late", json!(1));
    cx.on_cleanup("too late", async || ());
    cx.heartbeat();
    handle.cancel("too late");
    let after = format!(
        "{report:?} {:?} {:?} {:?}",
        report.recorded(),
        report.events(),
        report.cancel_reason()
    );
    assert_eq!(after, before);
    assert_eq!(
        (cx.stage().as_str(), cx.attempt().get(), cx.run_id()),
        ("a", 1, report.id()),
        "a kept context still reads"
    );
}

#[tokio::test]
async fn a_handle_of_another_pipeline_finds_nothing_in_a_report() {
    let build = || {
        let mut p = Pipeline::builder("twin");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
        (p.output(a).build().unwrap(), n, a)
    };
    let ((ours, n, a), (_, other_n, other_a)) = (build(), build());
    let report = Engine::new().run(&ours, 5, RunOptions::new()).await;
    assert_eq!(
        (report.value(n).as_deref(), report.value(a).as_deref()),
        (Some(&5), Some(&1))
    );
    assert_eq!((report.value(other_n), report.value(other_a)), (None, None));
    assert!(
        report.value_of("a").unwrap().downcast::<u64>().is_some() && report.value_of("b").is_none()
    );
    assert!(report.stage("b").is_none());
    assert_eq!(report.into_output().unwrap().as_ref(), &1);
}

#[tokio::test]
async fn options_say_whom_a_run_is_for_and_the_engine_makes_its_id() {
    use stageflow::context::{
        CorrelationId, OrgId, RequestId, RunId, SeededIds, SessionId, UserId,
    };
    let ids = SeededIds::new(7);
    let (org, user) = (OrgId::generate(&ids), UserId::generate(&ids));
    let (session, request) = (SessionId::generate(&ids), RequestId::generate(&ids));
    let correlation = CorrelationId::generate(&ids);
    let options = || {
        let whom = RunOptions::new().org(org).user(user).session(session);
        whom.request(request).correlation(correlation)
    };
    let mut p = Pipeline::builder("whom");
    let n = p.input::<u64>();
    let seen = stage_fn(async |cx: StageCx, _: Arc<u64>| Ok(cx.identity().clone()));
    let seen = p.stage("seen", seen).after(n);
    let pipeline = p.output(seen).build().unwrap();
    let engine = Engine::new();
    let given = RunIdentity::new(RunId::generate(&ids)).with_org_id(OrgId::generate(&ids));
    let run_id = given.run_id();
    for (options, fixed) in [
        (options(), None),
        (options().identity(given.clone()), Some(run_id)),
        (
            options().snapshot(ContextSnapshot::new(given)),
            Some(run_id),
        ),
    ] {
        let report = engine.run(&pipeline, 1, options).await;
        let seen = report.output().unwrap();
        assert_eq!((seen.org_id(), seen.user_id()), (Some(org), Some(user)));
        assert_eq!(
            (seen.session_id(), seen.request_id()),
            (Some(session), Some(request))
        );
        assert_eq!(seen.correlation_id(), correlation);
        assert_eq!(seen.run_id(), report.id());
        assert!(fixed.is_none_or(|id| id == seen.run_id()));
    }
}
