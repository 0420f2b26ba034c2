//! The same race among tasks.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};

use super::bag::{Common, ITERATIONS, Round, WRITERS};
use super::check;
use crate::{Lab, LabError, Runtime};

const READERS: usize = 8;

pub(super) fn race(lab: &mut Lab) -> Result<(), LabError> {
    let common = Arc::new(Common::new(lab.witness()));
    let rounds = lab.scaled(100);
    for runtime in lab.runtimes(&[Runtime::Ct, Runtime::Mt4N]) {
        lab.on(runtime, async {
            for number in 0..rounds {
                if common.witness.has_seen_enough() {
                    break;
                }
                let round = Arc::new(Round::new(number));
                one_round(&common, &round).await;
                check::round(&common, &round);
            }
        })?;
    }
    lab.count_trials(common.writes());
    Ok(())
}

async fn one_round(common: &Arc<Common>, round: &Arc<Round>) {
    let meet = Arc::new(Barrier::new(WRITERS + READERS));
    let mut tasks = JoinSet::new();
    for task in 0..WRITERS + READERS {
        let (common, round, meet) = (Arc::clone(common), Arc::clone(round), Arc::clone(&meet));
        tasks.spawn(async move {
            meet.wait().await;
            if task < WRITERS {
                for iteration in 0..ITERATIONS {
                    round.write(&common, task, iteration);
                    yield_now().await;
                }
                round.claim(&common, task);
            } else {
                while !round.is_closed() {
                    round.read(&common, task - WRITERS);
                    yield_now().await;
                }
                round.read(&common, task - WRITERS);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        common.witness.check(
            ended.is_ok(),
            "no task panics",
            crate::Breach::WrongStatus,
            || format!("{ended:?}"),
        );
    }
}
