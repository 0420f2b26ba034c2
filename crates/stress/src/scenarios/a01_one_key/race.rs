//! Tasks that race for a key, or for the last places of a bag.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stageflow::context::{OutputBag, OutputConflict, OutputConflictKind};
use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};

use crate::harness::witness::Witness;
use crate::{Breach, Lab, LabError, Runtime};

const WRITERS: usize = 64;
const READERS: usize = 4;
const KEY: &str = "answer";
/// Fewer than there are writers.
const PLACES: usize = 20;

/// All its words are the writer's number: a value made of two writers' words would show.
type Words = [usize; 32];

#[derive(Clone)]
struct Common {
    witness: Witness,
    turns: Arc<AtomicU64>,
}

impl Common {
    fn strikes(&self, name: &str) -> bool {
        self.witness.is_broken(name) && self.turns.fetch_add(1, Ordering::Relaxed) % 5000 == 4999
    }
}

/// What a racer came back with.
enum Back {
    Wrote(usize, Option<OutputConflict>),
    Read(Vec<Words>),
}

fn name(writer: usize) -> String {
    format!("stage-{writer}")
}

fn attempt(writer: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add((writer * 31 % 97) as u32)
}

pub(super) fn one_key(lab: &mut Lab) -> Result<(), LabError> {
    let common = Common {
        witness: lab.witness(),
        turns: Arc::default(),
    };
    let (rounds, mut conflicts, mut reads) = (lab.scaled(3000), 0_u64, 0_u64);
    for runtime in lab.runtimes(&[Runtime::Mt2, Runtime::Mt4N]) {
        lab.on(runtime, async {
            for _ in 0..rounds {
                if common.witness.has_seen_enough() {
                    break;
                }
                let (refused, seen) = one_round(&common).await;
                conflicts += refused;
                reads += seen;
            }
        })?;
        lab.count_trials(rounds);
    }
    lab.metric("conflicts", "count", conflicts as f64);
    lab.metric("reads", "count", reads as f64);
    Ok(())
}

async fn one_round(common: &Common) -> (u64, u64) {
    let (bag, meet) = (
        Arc::new(OutputBag::new()),
        Arc::new(Barrier::new(WRITERS + READERS)),
    );
    let mut racers = JoinSet::new();
    for racer in 0..WRITERS + READERS {
        let (bag, meet, common) = (Arc::clone(&bag), Arc::clone(&meet), common.clone());
        racers.spawn(async move {
            meet.wait().await;
            if racer >= WRITERS {
                return Back::Read(read(&bag, &common).await);
            }
            let mut refused = bag
                .put(KEY, &name(racer), attempt(racer), [racer; 32])
                .err();
            if refused.is_some() && common.strikes("last-writer-wins") {
                refused = None;
            }
            if refused.is_some() && common.strikes("wrong-name") {
                refused = bag
                    .put(KEY, &name(racer), NonZeroU32::MAX, [racer; 32])
                    .err();
            }
            Back::Wrote(racer, refused)
        });
    }
    let backs = racers.join_all().await;
    check(common, &bag, &backs)
}

/// Reads until there is something, and ten times more.
async fn read(bag: &OutputBag, common: &Common) -> Vec<Words> {
    let (mut seen, mut looks) = (Vec::new(), 0_u32);
    while seen.len() < 10 {
        looks += 1;
        let value = match looks % 2 {
            0 => bag.get::<Words>(KEY),
            _ => bag.view().get::<Words>(KEY),
        };
        if let Ok(Some(value)) = value {
            let mut words = *value;
            if common.strikes("mixed-read") {
                words[31] ^= 1;
            }
            seen.push(words);
        }
        yield_now().await;
    }
    seen
}

fn check(common: &Common, bag: &OutputBag, backs: &[Back]) -> (u64, u64) {
    let witness = &common.witness;
    let wrote = backs.iter().filter_map(|back| match back {
        Back::Wrote(writer, refused) => Some((*writer, refused)),
        Back::Read(_) => None,
    });
    let winners: Vec<usize> = wrote
        .clone()
        .filter(|(_, refused)| refused.is_none())
        .map(|(writer, _)| writer)
        .collect();
    let [winner] = winners[..] else {
        witness.check(false, "one key has one winner", Breach::Lost, || {
            format!("{winners:?}")
        });
        return (0, 0);
    };
    check_winner(witness, bag, winner);
    let (mut conflicts, mut reads) = (0, 0);
    for (writer, conflict) in
        wrote.filter_map(|(writer, refused)| Some((writer, refused.as_ref()?)))
    {
        conflicts += 1;
        witness.check(
            is_honest(conflict, writer, winner),
            "a conflict names both writers and both attempts",
            Breach::WrongStatus,
            || format!("{writer} lost against {winner}: {conflict}"),
        );
    }
    for back in backs {
        let Back::Read(seen) = back else {
            continue;
        };
        reads += seen.len() as u64;
        witness.check(
            seen.iter().all(|words| *words == [winner; 32]),
            "readers see the one value, whole",
            Breach::WrongStatus,
            || format!("{winner}: {seen:?}"),
        );
    }
    witness.check(
        conflicts == WRITERS as u64 - 1,
        "everybody who lost is told",
        Breach::Lost,
        || conflicts.to_string(),
    );
    (conflicts, reads)
}

fn check_winner(witness: &Witness, bag: &OutputBag, winner: usize) {
    let view = bag.view();
    let stays = view.entry(KEY).is_some_and(|entry| {
        entry.writer() == name(winner)
            && entry.attempt() == attempt(winner)
            && entry
                .get::<Words>()
                .is_ok_and(|words| *words == [winner; 32])
    });
    witness.check(
        stays && view.len() == 1,
        "the winner's value stays",
        Breach::Lost,
        || format!("{winner}: {view:?}"),
    );
}

fn is_honest(conflict: &OutputConflict, writer: usize, winner: usize) -> bool {
    let text = conflict.to_string();
    let (own, first) = (name(writer), name(winner));
    conflict.kind() == OutputConflictKind::Taken
        && conflict.code() == "SF0208"
        && conflict.key() == KEY
        && conflict.writer() == own
        && conflict.attempt() == attempt(writer)
        && conflict.first_writer() == Some(&*first)
        && conflict.first_attempt() == Some(attempt(winner))
        && [own, first]
            .iter()
            .all(|name| text.contains(&format!("`{name}` (attempt ")))
}

/// Sixty-four writers with a key each, and twenty places.
pub(super) fn full(lab: &mut Lab) -> Result<(), LabError> {
    let common = Common {
        witness: lab.witness(),
        turns: Arc::default(),
    };
    let rounds = lab.scaled(1000);
    lab.on(Runtime::Mt2, async {
        for _ in 0..rounds {
            if common.witness.has_seen_enough() {
                break;
            }
            let capacity = NonZeroUsize::MIN.saturating_add(PLACES - 1);
            let (bag, meet) = (
                Arc::new(OutputBag::with_capacity(capacity)),
                Arc::new(Barrier::new(WRITERS)),
            );
            let mut racers = JoinSet::new();
            for racer in 0..WRITERS {
                let (bag, meet, common) = (Arc::clone(&bag), Arc::clone(&meet), common.clone());
                racers.spawn(async move {
                    meet.wait().await;
                    let refused = bag
                        .put(&name(racer), &name(racer), NonZeroU32::MIN, racer)
                        .err();
                    (racer, refused.filter(|_| !common.strikes("overfull")))
                });
            }
            let backs = racers.join_all().await;
            check_full(&common.witness, &bag, &backs);
        }
    })?;
    lab.count_trials(rounds);
    Ok(())
}

fn check_full(witness: &Witness, bag: &OutputBag, backs: &[(usize, Option<OutputConflict>)]) {
    let taken = backs
        .iter()
        .filter(|(_, refused)| refused.is_none())
        .count();
    witness.check(
        taken == PLACES && bag.len() == PLACES && bag.view().len() == PLACES,
        "a bag takes as many as it may, and no more",
        Breach::Lost,
        || {
            format!(
                "{taken} were told that they are in, {} are",
                bag.view().len()
            )
        },
    );
    for (writer, refused) in backs {
        let is_in = bag
            .get::<usize>(&name(*writer))
            .is_ok_and(|value| value.as_deref() == Some(writer));
        witness.check(
            is_in != refused.is_some(),
            "who is told so is in",
            Breach::Lost,
            || format!("{writer}: in the bag {is_in}, refused {refused:?}"),
        );
        let honest = refused.as_ref().is_none_or(|refused| {
            refused.kind() == OutputConflictKind::Full
                && refused.code() == "SF0209"
                && refused.first_writer().is_none()
        });
        witness.check(
            honest,
            "who is not in is told that the bag is full",
            Breach::WrongStatus,
            || format!("{refused:?}"),
        );
    }
}
