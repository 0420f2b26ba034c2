//! A real Postgres, and everything one could try to see what is another tenant's: with the text of SQL, as the user of the
//! program, on connections that others have used before. Nothing is seen; and where the wall has a hole, the same attempts see it.

#![cfg(test)]

mod attempt;
mod controls;
mod drive;
mod forging;
mod reading;
mod reusing;
mod settings;
mod world;
mod writing;

use std::time::Duration;

use tokio::time::Instant;

use crate::drive::drive;
use crate::world::{Seeded, World};

/// How many attempts are made.
const ATTEMPTS: u32 = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaks_in_a_hundred_thousand_attempts() {
    let seed = Seeded::named("leaks");
    let world = World::new().await;
    let started = Instant::now();
    let found = Box::pin(drive(&world, seed.number, ATTEMPTS)).await;
    let took = started.elapsed().max(Duration::from_millis(1));
    let rate = f64::from(ATTEMPTS) / took.as_secs_f64();
    println!("{ATTEMPTS} attempts in {took:.1?}: {rate:.0} a second; {found}");
    assert!(found.is_clean(), "{seed}: {found}");
    assert_eq!(found.tried(), ATTEMPTS);
    found.assert_all_kinds();
    world.assert_untouched().await;
    assert_eq!(world.store.unclean(), 0);
}
