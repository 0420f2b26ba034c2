//! Whoever has a turn is woken, and nobody else is.

use std::time::Duration;

use stageflow_interceptors::RefusalKind;
use stageflow_tenancy::{Quota, QuotaDimension, Tenants, Tier};
use stageflow_testkit::paused;
use tokio::time::advance;

use crate::support::{ask, org, size, waits};

fn one_at_a_time() -> Tenants {
    let quota = Quota::new()
        .runs(size(1))
        .wait_up_to(Duration::from_secs(5));
    let tier = Tier::new("small").quota(quota);
    Tenants::builder()
        .tier(tier)
        .tenant(org(0), "small")
        .tenant(org(1), "small")
        .build()
        .unwrap()
}

#[test]
fn a_place_that_is_free_wakes_one_run_and_the_oldest() {
    paused(async {
        let tenants = one_at_a_time();
        let first = ask(&tenants, org(0)).pass();
        let mut waiting: Vec<_> = (0..50).map(|_| waits(&tenants, org(0))).collect();
        let woken = |waiting: &[crate::support::Asking]| {
            waiting.iter().map(|it| it.woken()).collect::<Vec<_>>()
        };
        drop(first);
        let mut expected = vec![0; 50];
        expected[0] = 1;
        assert_eq!(woken(&waiting), expected);
        let second = waiting.remove(0).poll().unwrap().pass();
        drop(second);
        assert_eq!(woken(&waiting)[..2], [1, 0]);
    });
}

#[test]
fn a_run_that_goes_with_its_turn_untaken_hands_it_on() {
    paused(async {
        let tenants = one_at_a_time();
        let first = ask(&tenants, org(0)).pass();
        let (second, mut third) = (waits(&tenants, org(0)), waits(&tenants, org(0)));
        drop(first);
        assert_eq!((second.woken(), third.woken()), (1, 0));
        drop(second); // it never saw that it was its turn
        assert_eq!(third.woken(), 1);
        drop(third.poll().unwrap().pass());
        let runs = tenants.usage(org(0)).unwrap().runs;
        assert_eq!((runs.started, runs.finished, runs.abandoned), (2, 2, 1));
    });
}

#[test]
fn a_run_that_waits_too_long_is_refused_and_holds_up_nobody() {
    paused(async {
        let tenants = one_at_a_time();
        let first = ask(&tenants, org(0)).pass();
        let mut second = waits(&tenants, org(0));
        advance(Duration::from_secs(4)).await;
        let mut third = waits(&tenants, org(0));
        advance(Duration::from_secs(1)).await;
        let said = second.poll().expect("it has waited for five seconds");
        let error = said.quota();
        assert_eq!(said.refusal().kind(), RefusalKind::Busy);
        assert_eq!(
            (error.dimension(), error.limit(), error.used()),
            (QuotaDimension::Wait, 5000, 5000)
        );
        assert!(third.poll().is_none());
        drop(first);
        drop(third.poll().unwrap().pass());
        assert_eq!(
            tenants.usage(org(0)).unwrap().refused(QuotaDimension::Wait),
            1
        );
    });
}

#[test]
fn a_tenant_at_its_own_limit_is_in_nobodys_way() {
    paused(async {
        let tenants = one_at_a_time();
        let first = ask(&tenants, org(0)).pass();
        let waiting = waits(&tenants, org(0));
        drop(ask(&tenants, org(1)).pass());
        assert_eq!(waiting.woken(), 0);
        drop(first);
    });
}

#[test]
fn a_larger_tier_lets_in_those_that_wait() {
    paused(async {
        let two = Tier::new("two").quota(Quota::new().runs(size(2)));
        let one = Tier::new("one").quota(Quota::new().runs(size(1)));
        let tenants = Tenants::builder()
            .tier(one)
            .tier(two)
            .tenant(org(0), "one")
            .build()
            .unwrap();
        let first = ask(&tenants, org(0)).pass();
        let (mut second, mut third) = (waits(&tenants, org(0)), waits(&tenants, org(0)));
        tenants.move_to_tier(org(0), "two").unwrap();
        let second = second.poll().expect("there is room for two").pass();
        assert!(third.poll().is_none());
        tenants.move_to_tier(org(0), "one").unwrap();
        drop(first);
        assert!(
            third.poll().is_none(),
            "those inside stay, and nobody follows them"
        );
        drop(second);
        drop(third.poll().unwrap().pass());
    });
}
