//! Whose work it is: in stages, in runs inside runs, in events and log spans.

use std::sync::{Arc, Mutex};

use serde_json::json;
use stageflow::context::OrgId;
use stageflow::events::{EventKind, MemorySink};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenant, TenantErrorKind, TenantScope};
use stageflow_testkit::paused;

use super::{for_org, org, size, three};
use crate::support::{Lab, Log};

/// Says whose work it is.
fn says(log: &Log, who: &'static str) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let log = log.clone();
    stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let log = log.clone();
        async move {
            let scope = TenantScope::of(&cx)?;
            let tier = cx
                .attached::<Tenant>()
                .map(|tenant| tenant.tier().to_owned());
            let (region, tier) = (scope.region().unwrap_or("?"), tier.unwrap_or_default());
            log.write(format!("{who} {} {region} {tier}", scope.org()));
            Ok(*n)
        }
    })
}

fn of(name: &'static str, stage: impl Stage<Input = Arc<u64>, Output = u64>) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().unwrap()
}

#[test]
fn runs_inside_runs_are_for_the_same_tenant() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let log = Log::default();
        let innermost = of("innermost", says(&log, "innermost"));
        let inner = of("inner", sub(&innermost));
        let outer = of("outer", sub(&inner));
        assert!(lab.engine.run(&outer, 1, for_org(1)).await.is_success());
        assert_eq!(log.lines(), [format!("innermost {} eu pro", org(1))]);
        // Every event of every run says so, too: nobody can say otherwise of a run inside another.
        let orgs: Vec<Option<OrgId>> = lab
            .sink
            .all()
            .iter()
            .map(|told| told.run.identity().org_id())
            .collect();
        assert!(orgs.len() > 6 && orgs.iter().all(|it| *it == Some(org(1))));
        assert_eq!(lab.sink.runs().len(), 3);
    });
}

#[test]
fn reaching_for_what_is_somebody_elses_is_an_event() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let kinds = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&kinds);
        let reach = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let seen = Arc::clone(&seen);
            async move {
                let scope = TenantScope::of(&cx)?;
                scope.check(org(0), "read")?;
                for owner in [Some(org(1)), None] {
                    let error = scope.check(owner, "read").unwrap_err();
                    seen.lock().unwrap().push(error.kind());
                }
                Ok::<_, Stop>(*n)
            }
        });
        let report = lab.engine.run(&of("reach", reach), 1, for_org(0)).await;
        assert!(report.is_success());
        assert_eq!(
            *kinds.lock().unwrap(),
            [TenantErrorKind::CrossTenant, TenantErrorKind::Unowned]
        );
        let payloads: Vec<_> = lab
            .sink
            .all()
            .iter()
            .filter_map(|told| match told.event.kind() {
                EventKind::Audit(notice) => Some(notice.payload().clone()),
                _ => None,
            })
            .collect();
        let told = |owner, code| json!({ "org": org(0), "owner": owner, "operation": "read", "code": code });
        assert_eq!(
            payloads,
            [told(Some(org(1)), "SF0651"), told(None, "SF0655")]
        );
    });
}

#[test]
fn events_are_counted_for_whose_they_are() {
    paused(async {
        let tenants = three(Quota::new());
        let sink = Arc::new(tenants.meter(MemorySink::bounded(size(10_000))));
        let engine = Engine::builder()
            .admit(tenants.admission())
            .events(Arc::clone(&sink))
            .build();
        let pipeline = of("quiet", says(&Log::default(), "a"));
        for n in [0, 1, 1, 7] {
            let _ = engine.run(&pipeline, 1, for_org(n)).await;
        }
        engine.settled().await;
        let mut counted = [0_u64; 3];
        for batch in sink.inner().drain() {
            let owner = batch.run.identity().org_id();
            let slot = [0, 1]
                .iter()
                .position(|n| owner == Some(org(*n)))
                .unwrap_or(2);
            counted[slot] += batch.events.len() as u64;
        }
        let events = |n| tenants.usage(org(n)).unwrap().events;
        assert_eq!(
            [
                events(0).accepted,
                events(1).accepted,
                tenants.strangers().events.accepted
            ],
            counted
        );
        assert_eq!(events(1).accepted, 2 * events(0).accepted);
        assert_eq!((events(0).dropped(), events(2).offered), (0, 0));
        assert!(events(0).bytes > 400);
    });
}
