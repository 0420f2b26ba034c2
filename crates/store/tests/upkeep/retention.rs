//! What is too old goes, in bounded steps, each of them in the trail; what is not stays.

use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use stageflow_store::{
    AuditDraft, AuditErrorKind, AuditKeep, AuditTrail, Class, Retention, Row, Shelf, Store as _,
    Swept,
};
use stageflow_testkit::Property;

use crate::support::{AnyStore, Breaking, everything, keys, org, put, rows, scope, user};
use crate::{CASES, new_store};

const DAY: Duration = Duration::from_hours(24);
/// When it is, in days since 1970.
const NOW: u32 = 1_000;

fn days(days: u32) -> Duration {
    DAY * days
}

fn millis(day: u32) -> u64 {
    u64::try_from(days(day).as_millis()).unwrap()
}

fn most(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).unwrap()
}

fn one_year() -> AuditKeep {
    AuditKeep::years(NonZeroU8::MIN)
}

struct Place {
    store: AnyStore,
    org: stageflow_context::OrgId,
    shelf: Arc<dyn Shelf>,
}

async fn place() -> Place {
    let (store, org) = (new_store(), org());
    let shelf = store.open(&scope(org)).await.unwrap();
    Place { store, org, shelf }
}

impl Place {
    /// Rows of a class that were made on these days.
    async fn with(&self, class: Class, made: &[u32]) {
        for (n, day) in made.iter().enumerate() {
            put(
                &*self.shelf,
                class,
                Row::new(format!("{n:03}"), millis(*day), "{}"),
            )
            .await;
        }
    }

    async fn sweep(&self, retention: &Retention, at_most: u32) -> Swept {
        let (scope, now) = (scope(self.org), days(NOW));
        retention
            .sweep(&self.store, keys(), &scope, now, most(at_most))
            .await
            .unwrap()
    }

    fn trail(&self) -> AuditTrail {
        AuditTrail::new(Arc::clone(&self.shelf), keys())
    }

    /// Entries told on these days.
    async fn told(&self, made: &[u32]) {
        for (n, day) in made.iter().enumerate() {
            let value = json!({
                "version": 2, "type": "auth.login", "seq": n, "time_us": 1_000 * millis(*day), "elapsed_ns": 0,
                "pipeline": "answer", "run_id": "run", "correlation_id": "cor", "trace_id": "t", "span_id": "s",
            });
            let record = serde_json::from_value(value).unwrap();
            self.trail()
                .append(vec![AuditDraft::of_record(&record)])
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn each_class_has_its_own_age() {
    let place = place().await;
    let made = [NOW - 40, NOW - 30, NOW - 29, NOW];
    for class in [
        Class::Answers,
        Class::Approvals,
        Class::Documents,
        Class::Events,
        Class::Runs,
        Class::Upkeep,
    ] {
        place.with(class, &made).await;
    }
    let retention = Retention::new()
        .answers(days(0))
        .documents(days(35))
        .events(days(30))
        .runs(days(29));
    let swept = place.sweep(&retention, 1_000).await;
    assert!(swept.is_done());
    let left = async |class| rows(&*place.shelf, class).await.len();
    let expected = [
        (Class::Answers, 3, 1),
        (Class::Approvals, 0, 4),
        (Class::Documents, 1, 3),
        // What is just as old as it may be stays.
        (Class::Events, 1, 3),
        (Class::Runs, 2, 2),
        (Class::Upkeep, 0, 4),
    ];
    for (class, gone, stays) in expected {
        assert_eq!(
            (swept.rows(class), left(class).await),
            (gone, stays),
            "{}",
            class.as_str()
        );
    }
    let told = place.trail().entry(1).await.unwrap().unwrap();
    assert_eq!(told.what, "tenant.retention_swept");
    let counts = json!({ "rows": { "answers": 3, "documents": 1, "events": 1, "runs": 2 } });
    assert_eq!(told.detail.unwrap().details, counts);
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_leaves_no_trace() {
    let place = place().await;
    place.with(Class::Events, &[NOW]).await;
    let before = everything(&*place.shelf).await;
    assert_eq!(
        place.sweep(&Retention::new().events(days(1)), 10).await,
        Swept::default()
    );
    assert_eq!(everything(&*place.shelf).await, before);
}

#[test]
fn steps_of_any_size_come_to_the_same() {
    let day = || prop::collection::vec(NOW - 10..NOW, 0..20);
    let cases = (day(), day(), 1..8_u32, 0..6_u64);
    let property = Property::new("sweeps of any size come to the same").cases(CASES);
    property.holds_for(&cases, |(events, runs, at_most, stop)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            let place = place().await;
            place.with(Class::Events, &events).await;
            place.with(Class::Runs, &runs).await;
            let retention = Retention::new().events(days(5)).runs(days(3));
            let mut gone = 0;
            // First by somebody who breaks off at some point.
            let broken = Breaking::after(&place.store, stop);
            while let Ok(swept) = retention
                .sweep(&broken, keys(), &scope(place.org), days(NOW), most(at_most))
                .await
            {
                let count = swept.rows(Class::Events) + swept.rows(Class::Runs);
                prop_assert!(count <= u64::from(at_most));
                if swept.is_done() {
                    break;
                }
            }
            loop {
                let swept = place.sweep(&retention, at_most).await;
                if swept.is_done() {
                    break;
                }
            }
            let old =
                |made: &[u32], keep: u32| made.iter().filter(|day| **day + keep < NOW).count();
            let left = async |class| rows(&*place.shelf, class).await.len();
            prop_assert_eq!(left(Class::Events).await, events.len() - old(&events, 5));
            prop_assert_eq!(left(Class::Runs).await, runs.len() - old(&runs, 3));
            // What the entries say was taken away is what was taken away, wherever it broke off.
            let trail = place.trail();
            for number in 1..=trail.verify().await.unwrap().entries {
                let details = trail
                    .entry(number)
                    .await
                    .unwrap()
                    .unwrap()
                    .detail
                    .unwrap()
                    .details;
                let counts = details["rows"].as_object().unwrap().values();
                gone += counts.map(|count| count.as_u64().unwrap()).sum::<u64>();
            }
            prop_assert_eq!(gone, (old(&events, 5) + old(&runs, 3)) as u64);
            Ok(())
        })
    });
}

#[tokio::test]
async fn a_trail_is_cut_at_its_old_end_and_verifies_from_there() {
    let place = place().await;
    place.told(&[1, 2, 3, 900, 4, 950]).await;
    let trail = place.trail();
    let old = trail.head().await.unwrap();
    let swept = place.sweep(&Retention::new().audit(one_year()), 2).await;
    assert_eq!((swept.rows(Class::Audit), swept.is_done()), (2, false));
    let swept = place.sweep(&Retention::new().audit(one_year()), 2).await;
    assert_eq!((swept.rows(Class::Audit), swept.is_done()), (1, true));
    // The entry of day 4 stands behind a younger one: what is left must have no gaps.
    let verified = trail.verify_to(&old).await.unwrap();
    assert_eq!((verified.start.number(), verified.head.number()), (3, 8));
    assert_eq!(trail.entry(3).await.unwrap(), None);
    assert_eq!(trail.entry(5).await.unwrap().unwrap().at, millis(4));

    // Only who has the key can say where it starts.
    let start = place
        .shelf
        .get(Class::Audit, "start")
        .await
        .unwrap()
        .unwrap();
    let row = Row::new("start", 1, start.body.replace("\"n\":3", "\"n\":4"));
    put(&*place.shelf, Class::Audit, row).await;
    assert_eq!(
        trail.verify().await.unwrap_err().kind(),
        AuditErrorKind::Head
    );
    crate::support::delete(&*place.shelf, Class::Audit, "start").await;
    assert_eq!(
        trail.verify().await.unwrap_err().kind(),
        AuditErrorKind::Missing
    );
}

#[tokio::test]
async fn an_anchor_that_was_cut_off_says_nothing() {
    let place = place().await;
    place.told(&[1]).await;
    let trail = place.trail();
    let early = trail.head().await.unwrap();
    place.told(&[1, 2]).await; // the first of them is known
    place.sweep(&Retention::new().audit(one_year()), 10).await;
    let error = trail.verify_to(&early).await.unwrap_err();
    assert_eq!(error.kind(), AuditErrorKind::Cut);
    trail.verify().await.unwrap();
}

#[tokio::test]
async fn a_trail_is_kept_for_a_year_at_least() {
    assert!(one_year().as_duration() >= days(365));
    let place = place().await;
    place.told(&[NOW - 360]).await;
    let swept = place.sweep(&Retention::new().audit(one_year()), 10).await;
    assert_eq!(swept, Swept::default());
}

#[tokio::test]
async fn what_is_about_a_user_goes_with_its_age_as_well() {
    let place = place().await;
    let row = Row::new("a", millis(1), "{}").about(user());
    put(&*place.shelf, Class::Documents, row).await;
    let swept = place.sweep(&Retention::new().documents(days(1)), 10).await;
    assert_eq!(swept.rows(Class::Documents), 1);
}
