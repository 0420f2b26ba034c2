//! What was proved is what the run is told under; what was not is not believed.

use std::sync::Arc;

use serde_json::Value;
use stageflow::interceptors::{Pass, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use super::{Porter, Seen, one_stage, org, refused, said, user};
use crate::support::{Lab, Log};

/// The orgs that the events of a lab's runs are told under, each once.
fn orgs(lab: &Lab) -> Vec<Option<stageflow::context::OrgId>> {
    let mut orgs: Vec<_> = lab
        .sink
        .all()
        .iter()
        .map(|recorded| recorded.run.identity().org_id())
        .collect();
    orgs.dedup();
    orgs
}

#[test]
fn a_run_is_whose_it_was_proved_to_be_in_stages_events_and_report() {
    paused(async {
        let (asked, acme, ada) = (org(), org(), user());
        let lab = Lab::with(|engine| {
            engine.admit(
                Porter::new("tokens", move |arrival| {
                    assert_eq!(arrival.identity().org_id(), Some(asked));
                    arrival.belongs_to(acme, Some(ada));
                    arrival.attach(7_u32);
                    arrival.audit(said("login"));
                    Ok(Pass::free())
                })
                .proving(),
            )
        });
        let seen = Seen::default();
        let pipeline = nested(&seen);
        let options = RunOptions::new().org(asked).attach(1_u32);
        let report = lab.engine.run(&pipeline, 1, options).await;
        report.output().unwrap();
        assert_eq!(report.identity().org_id(), Some(acme));
        // The stage, and the stage of the run that it started.
        assert_eq!(seen.all(), [(Some(acme), Some(ada), Some(7)); 2]);
        assert_eq!(orgs(&lab), [Some(acme)]);
        let own = lab.sink.events(report.id());
        let own: Vec<_> = own.iter().map(|recorded| recorded.name()).collect();
        assert_eq!(own[..2], ["run.started", "auth.login"]);
        let all = lab.sink.names();
        let asked = all.iter().filter(|name| *name == "auth.login").count();
        assert_eq!(asked, 1, "the child was not asked");
    });
}

/// A stage that starts a run of its own; both write down who they are.
fn nested(seen: &Seen) -> Pipeline<u64, u64> {
    let noted = seen.clone();
    let mut p = Pipeline::builder("inner");
    let n = p.input::<u64>();
    let a = p
        .stage(
            "look",
            stage_fn(move |cx: StageCx, n: Arc<u64>| {
                noted.note(&cx);
                async move { Ok::<_, Stop>(*n) }
            }),
        )
        .after(n);
    let inner = p.output(a).build().unwrap();
    let noted = seen.clone();
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let a = p
        .stage(
            "start",
            stage_fn(move |cx: StageCx, n: Arc<u64>| {
                noted.note(&cx);
                let inner = inner.clone();
                async move { Ok::<_, Stop>(*cx.run(&inner, *n).await?) }
            }),
        )
        .after(n);
    p.output(a).build().unwrap()
}

#[test]
fn what_travels_with_a_run_needs_no_door() {
    paused(async {
        let seen = Seen::default();
        let pipeline = nested(&seen);
        let options = RunOptions::new().attach(5_u32);
        let report = Engine::new().run(&pipeline, 1, options).await;
        report.output().unwrap();
        assert_eq!(seen.all(), [(None, None, Some(5)); 2]);
    });
}

#[test]
fn who_was_not_proved_is_nobody() {
    for (kind, told) in [
        (RefusalKind::Unauthenticated, false),
        (RefusalKind::Undecided, false),
        (RefusalKind::Busy, false),
        // It is known who it is, and they may not.
        (RefusalKind::Forbidden, true),
    ] {
        paused(async {
            let claimed = org();
            let lab = Lab::with(|engine| {
                engine.admit(Porter::new("tokens", move |_| refused(kind)).proving())
            });
            let (pipeline, _) = one_stage(&Log::default());
            let options = RunOptions::new().org(claimed).user(user());
            let report = lab.engine.run(&pipeline, 1, options).await;
            let expected = told.then_some(claimed);
            assert_eq!(report.identity().org_id(), expected, "{kind:?}");
            assert_eq!(report.identity().user_id().is_some(), told);
            assert_eq!(orgs(&lab), [expected]);
        });
    }
}

#[test]
fn a_quota_that_refuses_knows_whom() {
    paused(async {
        let acme = org();
        let lab = Lab::with(|engine| {
            engine
                .admit(Porter::new("quota", |_| refused(RefusalKind::Busy)))
                .admit(
                    Porter::new("tokens", move |arrival| {
                        arrival.belongs_to(acme, None);
                        Ok(Pass::free())
                    })
                    .proving(),
                )
        });
        let (pipeline, _) = one_stage(&Log::default());
        let report = lab
            .engine
            .run(&pipeline, 1, RunOptions::new().org(org()))
            .await;
        assert_eq!(report.identity().org_id(), Some(acme));
        assert_eq!(orgs(&lab), [Some(acme)]);
    });
}

#[test]
fn without_anybody_who_proves_a_run_is_whose_it_says() {
    paused(async {
        let acme = org();
        let lab =
            Lab::with(|engine| engine.admit(Porter::new("quota", |_| refused(RefusalKind::Busy))));
        let (pipeline, _) = one_stage(&Log::default());
        let report = lab
            .engine
            .run(&pipeline, 1, RunOptions::new().org(acme))
            .await;
        assert_eq!(report.identity().org_id(), Some(acme));
    });
}

#[test]
fn credentials_are_seen_at_the_door_and_nowhere_else() {
    paused(async {
        let lab = Lab::with(|engine| {
            engine.admit(
                Porter::new("tokens", |arrival| {
                    let shown = arrival.credentials().map(|shown| format!("{shown:?}"));
                    assert_eq!(shown.as_deref(), Some("Bearer([redacted])"));
                    let Some(Credentials::Bearer(token)) = arrival.credentials() else {
                        return refused(RefusalKind::Unauthenticated);
                    };
                    assert_eq!(token.expose(), "s3cr3t-token");
                    arrival.belongs_to(org(), None);
                    Ok(Pass::free())
                })
                .proving(),
            )
        });
        let (pipeline, _) = one_stage(&Log::default());
        let options = RunOptions::new().credentials(Credentials::bearer("s3cr3t-token"));
        assert!(!format!("{options:?}").contains("s3cr3t"));
        let report = lab.engine.run(&pipeline, 1, options).await;
        report.output().unwrap();
        let told: Value = serde_json::json!(lab.sink.lines());
        assert!(!told.to_string().contains("s3cr3t"));
    });
}
