//! A place comes back however a run ends, also before it has begun.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::prelude::*;
use stageflow::tenancy::Quota;
use stageflow_testkit::{Gate, Property, paused, script};

use super::{a_second, at, for_org, org, size, three};
use crate::support::{Lab, eventually};

#[test]
fn a_run_that_waits_holds_nothing_and_its_deadline_counts() {
    paused(async {
        let tenants = three(Quota::new().runs(size(1)));
        let lab = Lab::with(|builder| builder.admit(tenants.admission()));
        let gate = Gate::new();
        let pipeline = at(&gate);
        let mut first = Box::pin(lab.engine.run(&pipeline, 1, for_org(0)));
        tokio::select! {
            biased;
            _ = &mut first => panic!("it is behind the gate"),
            report = lab.engine.run(&pipeline, 1, for_org(0).deadline(5.secs())) => {
                assert_eq!(report.outcome(), Outcome::TimedOut);
                assert_eq!(report.duration(), 5.secs());
                assert_eq!(report.stage("a").map(|stage| stage.attempts()), Some(0));
            }
        }
        let usage = tenants.usage(org(0)).unwrap();
        assert_eq!(
            (usage.runs.running, usage.runs.waiting, usage.runs.abandoned),
            (1, 0, 1)
        );
        gate.open();
        assert!(first.await.is_success());
        assert_eq!(tenants.usage(org(0)).unwrap().runs.running, 0);
    });
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    Badly,
    Panics,
    TimesOut,
    Dropped,
    Cancelled,
}

#[test]
fn a_place_comes_back_however_the_run_ends() {
    use proptest::prelude::*;
    let how = prop_oneof![
        Just(How::Well),
        Just(How::Badly),
        Just(How::Panics),
        Just(How::TimesOut),
        Just(How::Dropped),
        Just(How::Cancelled),
    ];
    // A run that is late before it begins asks nobody.
    let cases = prop::collection::vec((how, 0_u64..3, 1_u64..2000), 1..20);
    Property::new("no ending keeps a place")
        .cases(60)
        .holds_for(&cases, |runs| {
            paused(async {
                let tenants = three(Quota::new().runs(size(2)));
                let lab = Lab::with(|builder| builder.admit(tenants.admission()));
                let ends = runs
                    .iter()
                    .map(|(how, n, millis)| end(&lab, *how, *n, *millis));
                join_all(ends).await;
                eventually("all are over", || {
                    (0..3).all(|n| tenants.usage(org(n)).unwrap().runs.running == 0)
                })
                .await;
                for n in 0..3 {
                    let usage = tenants.usage(org(n)).unwrap();
                    let asked = runs.iter().filter(|run| run.1 == n).count() as u64;
                    prop_assert_eq!(usage.runs.waiting, 0);
                    prop_assert_eq!(usage.runs.started, usage.runs.finished);
                    prop_assert_eq!(usage.asked(), asked);
                    prop_assert!(usage.runs.peak_running <= 2);
                }
                lab.assert_nothing_left().await;
                Ok(())
            })
        });
}

async fn end(lab: &Lab, how: How, n: u64, millis: u64) {
    let body = match how {
        How::Badly => script::fail::<Arc<u64>, u64>("no"),
        How::Panics => script::panic("no"),
        How::Well | How::TimesOut | How::Dropped | How::Cancelled => script::ok(1),
    };
    let mut p = Pipeline::builder("answer");
    let input = p.input::<u64>();
    let a = p.stage("a", body.taking(1.secs())).after(input);
    let pipeline = p.output(a).build().unwrap();
    let options = match how {
        How::TimesOut => for_org(n).deadline(Duration::from_millis(millis)),
        _ => for_org(n),
    };
    let run = lab.engine.run(&pipeline, 1, options);
    match how {
        How::Dropped => drop(tokio::time::timeout(Duration::from_millis(millis), run).await),
        How::Cancelled => {
            let stop = run.handle();
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                stop.cancel("enough");
            };
            let _ = tokio::join!(run, cancel);
        }
        _ => drop(run.await),
    }
}

#[test]
fn those_that_wait_have_their_turns_in_proportion_to_nothing_but_their_tiers() {
    paused(async {
        let tenants = three(Quota::new().runs(size(1)));
        let engine = Engine::builder().admit(tenants.admission()).build();
        let pipeline = a_second();
        let runs = (0..3).flat_map(|n| (0..4).map(move |_| n));
        let reports = join_all(runs.map(|n| engine.run(&pipeline, n, for_org(n)))).await;
        // Each tenant's runs one after the other, and the tenants beside each other.
        let mut last: Vec<_> = reports.iter().map(RunReport::duration).collect();
        last.sort();
        assert_eq!(last[9..], [4.secs(), 4.secs(), 4.secs()]);
    });
}
