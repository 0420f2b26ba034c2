//! What is required after the time of whoever asks is over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stageflow::auth::{Access, AccessError, AccessErrorKind, Authorize, Resource, WhenLapsed};
use stageflow::context::WallClock;
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::{Instant, sleep};

use super::{as_, decisions, lab, rbac, somebody, told};
use crate::support::{Lab, watched};

/// A time of day that goes with the paused clock.
#[derive(Debug)]
struct Noon(Instant);

impl Noon {
    fn now() -> Self {
        Self(Instant::now())
    }

    /// So long after the test began.
    fn plus(passed: Duration) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + passed
    }
}

impl WallClock for Noon {
    fn now(&self) -> SystemTime {
        Self::plus(self.0.elapsed())
    }
}

/// What stages may at the first, the fourth and the ninth second, and in a run inside: each requires `kb:read`, or asks.
fn slowly(lab: &Lab) -> Pipeline<u64, u64> {
    let after = |seconds: u64| {
        let body = move |_cx: StageCx, n: Arc<u64>| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(*n)
        };
        watched(&lab.probe, body)
    };
    let ask = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        let what = Resource::new("document", "17").owned_by(cx.identity().org_id());
        Ok::<_, Stop>(*n + u64::from(cx.may("kb:read", what)))
    });
    let mut child = Pipeline::builder("inside");
    let n = child.input::<u64>();
    let deep = child.stage("deep", after(0)).require("kb:read").after(n);
    let child = child.output(deep).build().unwrap();
    let inside = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move { Ok::<_, Stop>(*cx.run(&child, *n).await?) }
    });
    let mut p = Pipeline::builder("slowly");
    let n = p.input::<u64>();
    let first = p.stage("first", after(4)).require("kb:read").after(n);
    let second = p.stage("second", after(5)).require("kb:read").after(first);
    let free = p.stage("free", after(1)).after(second);
    let asks = p.stage("asks", ask).after(free);
    let inside = p.stage("inside", inside).after(asks);
    p.output(inside).build().unwrap()
}

fn layer(then: Option<WhenLapsed>) -> Authorize {
    let layer = Authorize::new(rbac()).with_clock(Noon::now());
    match then {
        None => layer,
        Some(then) => layer.when_lapsed(then),
    }
}

#[test]
fn a_run_that_came_in_time_may_what_it_might_when_it_came_unless_it_is_said_otherwise() {
    for then in [None, Some(WhenLapsed::AsAdmitted)] {
        paused(async {
            let lab = lab(layer(then));
            let ada = somebody("reader").until(Noon::plus(3.secs()));
            let report = lab.engine.run(&slowly(&lab), 1, as_(&ada)).await;
            assert_eq!(report.output().unwrap(), &2, "{then:?}");
            let lapsed: Vec<_> = decisions(&lab.sink)
                .iter()
                .map(|told| told["lapsed"].clone())
                .collect();
            // What is allowed after the time says so.
            assert_eq!(lapsed, [false, true, true, true]);
            let told = told(&lab.sink);
            assert!(
                told.iter().all(|line| line.ends_with("allowed")),
                "{told:?}"
            );
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn what_is_required_after_the_time_is_denied_if_that_was_said() {
    paused(async {
        let lab = lab(layer(Some(WhenLapsed::Deny)));
        let ada = somebody("reader").until(Noon::plus(3.secs()));
        let report = lab.engine.run(&slowly(&lab), 1, as_(&ada)).await;
        assert_eq!(report.outcome(), Outcome::Denied);
        assert_eq!(report.duration(), 4.secs());
        // What has begun goes on, and nothing of what comes after it.
        assert!(report.value_of("first").is_some() && report.value_of("second").is_none());
        let error = AccessError::among(&report.output().unwrap_err()).unwrap();
        assert_eq!(
            (error.kind(), error.code()),
            (AccessErrorKind::Lapsed, "SF0634")
        );
        assert_eq!(error.public(), "show valid credentials");
        let org = ada.org();
        assert_eq!(
            error.to_string(),
            format!(
                "SF0634: layer `authorize`: `ada` of {org} asked for `kb:read` on stage `slowly/second`: denied by \
                 `authorize`: they were proved for a time that was over 1s ago; let them show new credentials and start \
                 again, or say `.when_lapsed(WhenLapsed::AsAdmitted)`"
            )
        );
        assert_eq!(
            told(&lab.sink),
            ["first kb:read allowed", "second kb:read denied"]
        );
        let last = decisions(&lab.sink).pop().unwrap();
        assert_eq!(
            (&last["lapsed"], &last["policy"]),
            (&true.into(), &"authorize".into())
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn the_moment_itself_is_over_and_the_one_before_it_is_not() {
    let late: &[&str] = &["asks kb:read denied", "deep kb:read denied"];
    // The second stage starts after four seconds, the one that asks after ten, and the run inside at once after it.
    for (until, expected) in [
        (4.secs(), &["second kb:read denied"][..]),
        (4.secs() + Duration::from_nanos(1), late),
        (10.secs(), late),
        (10.secs() + Duration::from_nanos(1), &[]),
    ] {
        paused(async {
            let lab = lab(layer(Some(WhenLapsed::Deny)));
            let ada = somebody("reader").until(Noon::plus(until));
            let report = lab.engine.run(&slowly(&lab), 1, as_(&ada)).await;
            let mut denied = told(&lab.sink);
            denied.retain(|line| line.ends_with("denied"));
            denied.sort();
            assert_eq!(denied, expected, "{until:?}");
            assert_eq!(report.is_success(), expected.is_empty());
        });
    }
}

#[test]
fn a_run_inside_and_whoever_has_no_end_are_judged_by_the_same_time() {
    paused(async {
        let lab = lab(layer(Some(WhenLapsed::Deny)));
        let ada = somebody("reader");
        assert!(
            lab.engine
                .run(&slowly(&lab), 1, as_(&ada))
                .await
                .is_success()
        );

        let mut p = Pipeline::builder("outside");
        let n = p.input::<u64>();
        let inner = slowly(&lab);
        let outer = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let inner = inner.clone();
            async move { Ok::<_, Stop>(*cx.run(&inner, *n).await?) }
        });
        let a = p.stage("outer", outer).after(n);
        let pipeline = p.output(a).build().unwrap();
        let ada = ada.until(Noon::plus(13.secs()));
        let report = lab.engine.run(&pipeline, 1, as_(&ada)).await;
        assert_eq!(report.outcome(), Outcome::Denied);
        let error = AccessError::among(&report.output().unwrap_err()).unwrap();
        assert_eq!(
            (error.code(), error.resource().id()),
            ("SF0634", "slowly/second")
        );
    });
}
