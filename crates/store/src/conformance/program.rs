//! Random programs of two orgs, against an oracle.

use stageflow_context::{OrgId, SeededIds, SystemIds, UserId};

use super::bench::{Bench, Dice, Found, delete, insert, put, swap, text};
use super::oracle::Oracle;
use crate::{Class, Row, Scan, Store, Write};

const KEYS: [&str; 9] = [
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "A",
    "b",
    "a\u{10ffff}",
    "é",
    "a%",
];
const CLASSES: [Class; 2] = [Class::Audit, Class::Approvals];
const STEPS: usize = 300;

pub(super) async fn random<S: Store>(bench: &Bench<S>) -> Found {
    let told = play(bench, &mut Dice::new(bench.seed)).await;
    told.map_err(|why| format!("{why}, with the seed {}", bench.seed))
}

async fn play<S: Store>(bench: &Bench<S>, dice: &mut Dice) -> Found {
    let ids = SeededIds::new(bench.seed);
    let users = [UserId::generate(&ids), UserId::generate(&ids)];
    let orgs = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
    let shelves = [
        bench.shelf_of(orgs[0]).await?,
        bench.shelf_of(orgs[1]).await?,
    ];
    let mut oracles = [Oracle::default(), Oracle::default()];
    for step in 0..STEPS {
        let which = usize::from(dice.below(2) == 1);
        let (shelf, oracle) = (&shelves[which], &mut oracles[which]);
        let now = bench.clock.millis();
        let (what, got, right) = match dice.below(8) {
            0 => {
                bench.clock.advance(dice.below(30));
                continue;
            }
            1 => {
                let (class, key) = place(dice);
                let got = shelf.get(class, key).await.map_err(text)?;
                let right = oracle.get(class, key, now);
                (
                    format!("get {key:?}"),
                    format!("{got:?}"),
                    format!("{right:?}"),
                )
            }
            2 | 3 => {
                let scan = scan(dice, now, &users);
                let right = oracle.scan(&scan, now);
                let what = format!("{scan:?}");
                let got = shelf.scan(scan).await.map_err(text)?;
                (what, format!("{got:?}"), format!("{right:?}"))
            }
            _ => {
                let count = dice.below(4);
                let writes: Vec<Write> = (0..count).map(|_| write(dice, now, &users)).collect();
                let right = oracle.commit(&writes, now);
                let what = format!("{writes:?}");
                let got = shelf.commit(writes).await.map_err(text)?;
                (what, got.to_string(), right.to_string())
            }
        };
        if got != right {
            return Err(format!("step {step}, {what}: {got} where {right} is right"));
        }
    }
    Ok(())
}

fn place(dice: &mut Dice) -> (Class, &'static str) {
    let class = dice.one_of(&CLASSES).copied().unwrap_or(Class::Audit);
    (class, dice.one_of(&KEYS).copied().unwrap_or("a"))
}

fn row(dice: &mut Dice, key: &str, now: u64, users: &[UserId]) -> Row {
    let about = match dice.below(2) {
        0 => None,
        _ => dice.one_of(users).copied(),
    };
    let until = (dice.below(3) == 0).then(|| now + dice.below(50));
    Row::new(key, now - dice.below(50), dice.below(1_000).to_string())
        .about(about)
        .until(until)
}

fn write(dice: &mut Dice, now: u64, users: &[UserId]) -> Write {
    let (class, key) = place(dice);
    let row = row(dice, key, now, users);
    match dice.below(6) {
        0 => delete(class, key),
        1 | 2 => insert(class, &row),
        3 => put(class, &row),
        _ => swap(class, &row, dice.below(3)),
    }
}

fn scan(dice: &mut Dice, now: u64, users: &[UserId]) -> Scan {
    let (class, key) = place(dice);
    let cut = key.char_indices().nth(1).map_or(key.len(), |(at, _)| at);
    let prefix = ["", &key[..cut], key];
    let prefix = dice.one_of(&prefix).copied().unwrap_or_default();
    let after = (dice.below(2) == 0).then(|| place(dice).1.to_owned());
    let before = (dice.below(3) == 0).then(|| now - dice.below(50));
    let about = match dice.below(3) {
        0 => dice.one_of(users).copied(),
        _ => None,
    };
    let most = [0, 1, 2, 1_000];
    Scan::of(class)
        .starting_with(prefix)
        .after(after)
        .before(before)
        .about(about)
        .most(dice.one_of(&most).copied().unwrap_or(1))
}
