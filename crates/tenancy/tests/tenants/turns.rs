//! The bound of deficit round robin, measured on turns, without a model of how they are given.

use proptest::prelude::*;
use stageflow_tenancy::{Quota, Tenants, Tier};
use stageflow_testkit::{Property, paused};

use crate::support::{Asking, ask, org, size, waits, weight};

/// Tenants of these weights, so many of whose runs may be inside together.
fn tenants(weights: &[u16], at_a_time: usize) -> Tenants {
    let mut builder = Tenants::builder().runs_at_a_time(size(at_a_time));
    for (n, share) in weights.iter().enumerate() {
        let quota = Quota::new().queue(size(10_000));
        let tier = Tier::new(format!("tier-{n}"));
        builder = builder
            .tier(tier.weight(weight(*share)).quota(quota))
            .tenant(org(n), format!("tier-{n}"));
    }
    builder.build().unwrap()
}

/// Whose turn it was, one after the other, while all of them wanted more.
fn turns(weights: &[u16], at_a_time: usize, count: usize) -> Vec<usize> {
    let tenants = tenants(weights, at_a_time);
    let busy: Vec<_> = (0..at_a_time)
        .map(|n| ask(&tenants, org(n % weights.len())))
        .collect();
    let mut waiting: Vec<(usize, Asking)> = Vec::new();
    for n in 0..weights.len() {
        waiting.extend((0..count + 1).map(|_| (n, waits(&tenants, org(n)))));
    }
    let mut inside: Vec<_> = busy.into_iter().map(|said| said.pass()).collect();
    let mut order = Vec::new();
    while order.len() < count {
        drop(inside.remove(0));
        let next = waiting
            .iter()
            .position(|(_, asking)| asking.woken() > 0)
            .expect("somebody has a turn");
        let (n, mut asking) = waiting.remove(next);
        inside.push(asking.poll().expect("it was woken for this").pass());
        order.push(n);
    }
    order
}

/// The largest difference, in rounds, between what two orgs have had over any stretch.
fn worst(order: &[usize], weights: &[u16]) -> f64 {
    let mut worst: f64 = 0.0;
    for from in 0..order.len() {
        let mut had = vec![0_u32; weights.len()];
        for n in &order[from..] {
            had[*n] += 1;
            let rounds = had
                .iter()
                .zip(weights)
                .map(|(had, weight)| f64::from(*had) / f64::from(*weight));
            let (least, most) = rounds.fold((f64::MAX, 0.0_f64), |(least, most), it| {
                (least.min(it), most.max(it))
            });
            worst = worst.max(most - least);
        }
    }
    worst
}

#[test]
fn over_any_stretch_two_tenants_differ_by_one_round_at_most() {
    let weights = prop::collection::vec(1_u16..9, 2..6);
    Property::new("turns are in proportion to weights, to one round")
        .cases(40)
        .holds_for(&(weights, 1_usize..5), |(weights, at_a_time)| {
            let order = paused(async { turns(&weights, at_a_time, 120) });
            let worst = worst(&order, &weights);
            prop_assert!(worst <= 1.0 + 1e-9, "{worst} rounds apart: {order:?}");
            Ok(())
        });
}

#[test]
fn a_tenant_of_weight_three_has_three_turns_for_one() {
    let order = paused(async { turns(&[3, 1], 1, 12) });
    assert_eq!(order, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
}

/// How alike they are: 1 if all are the same (Jain, Chiu & Hawe 1984).
fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|x| x * x).sum();
    sum * sum / (values.len() as f64 * squares)
}

#[test]
fn one_that_asks_a_hundred_times_as_often_has_no_more_than_the_others() {
    paused(async {
        let tenants = tenants(&[1; 10], 4);
        let mut inside: Vec<_> = (0..4).map(|_| (0, ask(&tenants, org(0)).pass())).collect();
        let mut waiting: Vec<_> = (0..1000).map(|_| (0, waits(&tenants, org(0)))).collect();
        for n in 1..10 {
            waiting.extend((0..10).map(|_| (n, waits(&tenants, org(n)))));
        }
        let mut had = [0.0; 10];
        // As long as everybody wants something.
        for _ in 0..100 {
            drop(inside.remove(0));
            let next = waiting
                .iter()
                .position(|(_, asking)| asking.woken() > 0)
                .unwrap();
            let (n, mut asking) = waiting.remove(next);
            inside.push((n, asking.poll().unwrap().pass()));
            had[n] += 1.0;
        }
        assert!(jain(&had) >= 0.95, "{had:?}");
    });
}
