//! Random programs over a tree of snapshots.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::{
    ContextSnapshot, Conversation, CorrelationId, InteractionId, OrgId, RequestId, RunId,
    RunIdentity, SeededIds, SessionId, UserId,
};
use tokio::time::Instant;

use super::model::Model;
use super::ops::{Op, Twin};
use crate::harness::witness::Witness;
use crate::stats::median;
use crate::{Breach, Lab, LabError, Seed, Trial};

const STEPS: usize = 14;
/// Programs share nothing, so that one thread's reads meet nothing of the other's writes but through the library.
const THREADS: u64 = 2;

#[derive(Default)]
struct Totals {
    writes: AtomicU64,
    hash_checks: AtomicU64,
    hash_changes: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    side: AtomicU64,
}

struct Node {
    twin: Twin,
    digest: String,
    parent: Option<usize>,
    /// Into which node the last write went when this one was last seen sound.
    seen: usize,
}

/// Ten thousand programs, a batch a trial.
pub(super) fn random(lab: &mut Lab) -> Result<(), LabError> {
    let (batches, batch) = (lab.scaled(100), 100);
    let totals = Totals::default();
    let mut fork_ns = Vec::new();
    lab.trials(batches, |lab, trial| {
        let witness = lab.witness();
        let ends = on_threads(trial.seed, batch, &witness, &totals);
        for end in ends {
            let end = end.unwrap_or_else(|_| Err("a program panicked".to_owned()));
            lab.check(
                end.is_ok(),
                "a sound program is done",
                Breach::WrongStatus,
                || format!("{end:?}"),
            );
        }
        lab.count_trials(batch - 1);
        fork_ns.push(time_of_a_fork(trial)?);
        Ok(())
    })?;
    let metric = |name: &str, counter: &AtomicU64| {
        lab.metric(name, "count", counter.load(Ordering::Relaxed) as f64);
    };
    metric("writes", &totals.writes);
    metric("hash_checks", &totals.hash_checks);
    metric("hash_changes", &totals.hash_changes);
    metric("bleed_up", &totals.up);
    metric("bleed_down", &totals.down);
    metric("bleed_side", &totals.side);
    lab.metric("programs", "count", (batches * batch) as f64);
    lab.metric("fork_ns", "ns", median(&fork_ns));
    Ok(())
}

/// A batch of programs on several threads, and how each thread ended.
fn on_threads(
    seed: Seed,
    batch: u64,
    witness: &Witness,
    totals: &Totals,
) -> Vec<std::thread::Result<Result<(), String>>> {
    let run = |thread: u64| {
        for number in 0..batch / THREADS {
            if witness.has_seen_enough() {
                break;
            }
            Program::new(seed.child(number * THREADS + thread), witness, totals)?.run()?;
        }
        Ok(())
    };
    let run = &run;
    scope(|scope| {
        let start = |thread| scope.spawn(move || run(thread));
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    })
}

fn time_of_a_fork(trial: Trial) -> Result<f64, LabError> {
    let ids = SeededIds::new(trial.seed.get());
    let snapshot = ContextSnapshot::new(full_identity(&ids)).with_input_text("a text");
    let started = Instant::now();
    for _ in 0..100 {
        let child = snapshot
            .identity()
            .child(RunId::generate(&ids), "stage")
            .map_err(LabError::new)?;
        std::hint::black_box(snapshot.fork(child));
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / 100.0)
}

pub(in crate::scenarios) fn full_identity(ids: &SeededIds) -> RunIdentity {
    RunIdentity::new(RunId::generate(ids))
        .with_org_id(OrgId::generate(ids))
        .with_user_id(UserId::generate(ids))
        .with_session_id(SessionId::generate(ids))
        .with_request_id(RequestId::generate(ids))
        .with_interaction_id(InteractionId::generate(ids))
        .with_correlation_id(CorrelationId::generate(ids))
}

struct Program<'a> {
    nodes: Vec<Node>,
    ids: SeededIds,
    rng: ChaCha8Rng,
    witness: &'a Witness,
    totals: &'a Totals,
}

impl<'a> Program<'a> {
    fn new(seed: Seed, witness: &'a Witness, totals: &'a Totals) -> Result<Self, String> {
        let ids = SeededIds::new(seed.get());
        let identity = full_identity(&ids);
        let twin = Twin {
            snapshot: ContextSnapshot::new(identity.clone()),
            model: Model::of(identity),
        };
        let digest = digest(&twin.snapshot)?;
        let root = Node {
            twin,
            digest,
            parent: None,
            seen: 0,
        };
        Ok(Self {
            nodes: vec![root],
            ids,
            rng: seed.rng(),
            witness,
            totals,
        })
    }

    fn run(mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            let parent = self.rng.random_range(0..self.nodes.len());
            let op = Op::ALL[self.rng.random_range(0..Op::ALL.len())];
            self.write(parent, op)?;
            let read = self.rng.random_range(0..self.nodes.len());
            self.read(read);
        }
        for node in 0..self.nodes.len() {
            self.read(node);
            self.hash(node);
        }
        Ok(())
    }

    /// Derives a new node. A program never writes into a node: that it cannot is what is tested.
    fn write(&mut self, parent: usize, op: Op) -> Result<(), String> {
        let nth = self.totals.writes.fetch_add(1, Ordering::Relaxed);
        let mut twin = (self.nodes[parent].twin.apply(op, &self.ids, &mut self.rng))
            .map_err(|error| format!("{op:?}: {error}"))?;
        self.spoil(nth, parent, &mut twin);
        let (digest, seen) = (digest(&twin.snapshot)?, self.nodes.len());
        if op == Op::ThroughJson {
            let before = &self.nodes[parent].digest;
            self.witness.check(
                *before == digest,
                "what is read back has the content hash of what was written",
                Breach::Leaked,
                || format!("{before} became {digest}"),
            );
        }
        self.nodes.push(Node {
            twin,
            digest,
            parent: Some(parent),
            seen,
        });
        Ok(())
    }

    /// The breaks: what is written reaches a snapshot that it must not reach.
    fn spoil(&mut self, nth: u64, parent: usize, twin: &mut Twin) {
        let is_turn = nth % 10_000 >= 9_990;
        let written = twin.snapshot.with_topology("spilt");
        let last = self.nodes.len() - 1;
        if is_turn && self.witness.is_broken("write-through") {
            self.nodes[parent].twin.snapshot = written;
        } else if is_turn && self.witness.is_broken("lost-write") {
            twin.snapshot = self.nodes[parent].twin.snapshot.with_topology("lost");
        } else if is_turn && self.witness.is_broken("seen-below") {
            let child = self
                .nodes
                .iter()
                .position(|node| node.parent == Some(parent));
            self.nodes[child.unwrap_or(last)].twin.snapshot = written;
        } else if is_turn && self.witness.is_broken("seen-beside") {
            self.nodes[last].twin.snapshot = written;
        } else if nth % 1000 >= 900 && self.witness.is_broken("another-order") {
            let turned = twin.snapshot.conversation().messages().rev().cloned();
            let turned = turned.fold(Conversation::new(), Conversation::with_message);
            twin.snapshot = twin.snapshot.with_conversation(turned);
        }
    }

    fn read(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some(part) = node.twin.model.differs(&node.twin.snapshot) else {
            self.nodes[at].seen = self.nodes.len() - 1;
            return;
        };
        let written = self.nodes.len() - 1;
        let (counter, way) = if self.is_above(at, written) {
            (&self.totals.up, "up")
        } else if self.is_above(written, at) {
            (&self.totals.down, "down")
        } else {
            (&self.totals.side, "sideways")
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.witness.check(false, "every snapshot holds what its model holds", Breach::Leaked, || {
            format!(
                "{part} of node {at} differs: something flowed {way} since node {} was written; now there are {}",
                node.seen,
                self.nodes.len()
            )
        });
    }

    fn is_above(&self, upper: usize, lower: usize) -> bool {
        std::iter::successors(Some(lower), |node| self.nodes[*node].parent)
            .any(|node| node == upper)
    }

    fn hash(&self, at: usize) {
        let node = &self.nodes[at];
        self.totals.hash_checks.fetch_add(1, Ordering::Relaxed);
        let now = digest(&node.twin.snapshot);
        if now.as_ref() != Ok(&node.digest) {
            self.totals.hash_changes.fetch_add(1, Ordering::Relaxed);
            self.witness
                .check(false, "no content hash changes", Breach::Leaked, || {
                    format!("node {at} was {}, is {now:?}", node.digest)
                });
        }
    }
}

fn digest(snapshot: &ContextSnapshot) -> Result<String, String> {
    snapshot.digest().map_err(|error| error.to_string())
}
