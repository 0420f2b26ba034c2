//! Many attempts, one after the other on each of a few connections.

use std::collections::BTreeMap;
use std::fmt;

use fastrand::Rng;
use futures_util::future::join_all;

use crate::attempt::Case;
use crate::reading::Kind;
use crate::reusing::Doing;
use crate::world::World;
use crate::{forging, reading, settings, writing};

/// How many go on at the same time, on as many connections.
const SIDE_BY_SIDE: u32 = 4;

/// How many findings are told in words.
const TOLD: usize = 10;

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    kinds: BTreeMap<&'static str, u32>,
    leaks: BTreeMap<&'static str, u32>,
    told: Vec<String>,
}

impl Found {
    pub(crate) fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }

    pub(crate) fn tried(&self) -> u32 {
        self.kinds.values().sum()
    }

    /// Whether attempts of this kind found something.
    pub(crate) fn found(&self, kind: &str) -> bool {
        self.leaks.contains_key(kind)
    }

    /// Each kind was tried, and not just once.
    pub(crate) fn assert_all_kinds(&self) {
        for name in sql_kinds()
            .map(|(name, _)| name)
            .chain(Doing::ALL.map(|(name, _)| name))
        {
            let tried = self.kinds.get(name).copied().unwrap_or_default();
            assert!(tried > 10, "{name} was tried {tried} times");
        }
    }

    fn note(&mut self, kind: &'static str, came_of_it: Result<(), String>) {
        *self.kinds.entry(kind).or_default() += 1;
        if let Err(why) = came_of_it {
            *self.leaks.entry(kind).or_default() += 1;
            if self.told.len() < TOLD {
                self.told.push(format!("{kind}: {why}"));
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (all, more) in [
            (&mut self.kinds, other.kinds),
            (&mut self.leaks, other.leaks),
        ] {
            for (kind, number) in more {
                *all.entry(kind).or_default() += number;
            }
        }
        self.told.extend(other.told);
        self.told.truncate(TOLD);
        self
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaks: u32 = self.leaks.values().sum();
        write!(
            f,
            "{} attempts of {} kinds, {leaks} found something",
            self.tried(),
            self.kinds.len()
        )?;
        self.told.iter().try_for_each(|why| write!(f, "\n- {why}"))
    }
}

fn sql_kinds() -> impl Iterator<Item = Kind> + Clone {
    let all = [
        reading::KINDS,
        writing::KINDS,
        settings::KINDS,
        forging::KINDS,
    ];
    all.into_iter().flatten().copied()
}

/// Makes so many attempts.
pub(crate) async fn drive(world: &World, seed: u64, attempts: u32) -> Found {
    let workers = (0..SIDE_BY_SIDE).map(|worker| {
        let rng = Rng::with_seed(seed.wrapping_add(worker.into()));
        let share = attempts / SIDE_BY_SIDE;
        Box::pin(work(world, rng, share))
    });
    let found = join_all(workers).await;
    found.into_iter().fold(Found::default(), Found::merge)
}

async fn work(world: &World, mut rng: Rng, attempts: u32) -> Found {
    let kinds: Vec<Kind> = sql_kinds().collect();
    let mut found = Found::default();
    for _ in 0..attempts {
        let at = rng.usize(..kinds.len() + Doing::ALL.len());
        let mut case = Case::random(&mut rng, world);
        match kinds.get(at) {
            Some((name, make)) => {
                let attempt = make(&mut case);
                // What stays on a connection of ours is counted as a mistake, rightly.
                let pool = match attempt.ends {
                    "COMMIT" => &world.raw,
                    _ => case.pool,
                };
                let mut connection = Box::pin(pool.acquire()).await.unwrap();
                let seen = attempt
                    .carry_out(case.actor, world.sets, &mut connection)
                    .await;
                let judged = seen.judge(&case, &attempt.want);
                found.note(
                    name,
                    judged.map_err(|why| format!("{why}\n  {}", attempt.sql)),
                );
            }
            None => {
                let (name, doing) = Doing::ALL[at - kinds.len()];
                let came_of_it = Box::pin(doing.carry_out(&mut case)).await;
                found.note(name, came_of_it);
            }
        }
    }
    found
}
