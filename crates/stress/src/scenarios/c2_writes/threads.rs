//! Writers and readers as threads of the machine, released together, round after round.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, PoisonError, RwLock};
use std::thread::{Builder, scope};

use tokio::time::Instant;

use super::bag::{Common, ITERATIONS, Round, WRITERS};
use super::check::{self, Tally};
use crate::{Lab, LabError};

const READERS: usize = 3;
/// Enough for what these threads do; two megabytes each would be a hundred.
const STACK: usize = 256 * 1024;

/// Where all of them meet before and after a round.
struct Arena {
    common: Common,
    round: RwLock<Arc<Round>>,
    meet: Barrier,
    over: AtomicBool,
}

impl Arena {
    fn round(&self) -> Arc<Round> {
        Arc::clone(&self.round.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn each_round(&self, work: impl Fn(&Round)) {
        loop {
            self.meet.wait();
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            work(&self.round());
            self.meet.wait();
        }
    }

    fn write(&self, writer: usize) {
        self.each_round(|round| {
            for iteration in 0..ITERATIONS {
                round.write(&self.common, writer, iteration);
            }
            round.claim(&self.common, writer);
        });
    }

    fn read(&self, reader: usize) {
        self.each_round(|round| {
            while !round.is_closed() {
                round.read(&self.common, reader);
                std::thread::yield_now();
            }
            round.read(&self.common, reader);
        });
    }

    fn conduct(&self, rounds: u64) -> Tally {
        let mut tally = Tally::default();
        for number in 0..rounds {
            if self.common.witness.has_seen_enough() {
                break;
            }
            let round = Arc::new(Round::new(number));
            *self.round.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&round);
            self.meet.wait();
            self.meet.wait();
            tally.add(check::round(&self.common, &round));
        }
        self.over.store(true, Ordering::SeqCst);
        self.meet.wait();
        tally
    }
}

pub(super) fn race(lab: &mut Lab) -> Result<(), LabError> {
    let rounds = lab.scaled(1000);
    let arena = Arena {
        common: Common::new(lab.witness()),
        round: RwLock::new(Arc::new(Round::new(0))),
        meet: Barrier::new(WRITERS + READERS + 1),
        over: AtomicBool::new(false),
    };
    let started = Instant::now();
    let arena = &arena;
    let tally = scope(|scope| {
        // A machine that cannot start the threads would leave the others waiting: the watchdog says so then.
        let start = |name: String| Builder::new().name(name).stack_size(STACK);
        for writer in 0..WRITERS {
            start(format!("writer-{writer}")).spawn_scoped(scope, move || arena.write(writer))?;
        }
        for reader in 0..READERS {
            start(format!("reader-{reader}")).spawn_scoped(scope, move || arena.read(reader))?;
        }
        Ok(arena.conduct(rounds))
    })
    .map_err(|error: std::io::Error| LabError::new(error))?;
    let writes = arena.common.writes();
    lab.count_trials(writes);
    let rate = writes as f64 / started.elapsed().as_secs_f64();
    lab.metric("writes", "count", writes as f64);
    lab.metric("lost", "count", tally.lost as f64);
    lab.metric("duplicated", "count", tally.duplicated as f64);
    lab.metric("conflicts", "count", tally.conflicts as f64);
    lab.metric("snapshots_checked", "count", tally.views as f64);
    lab.metric("torn_reads", "count", tally.torn as f64);
    lab.metric("writes_per_s", "1/s", rate);
    Ok(())
}
