//! Three stages, each with a chain of ten forks, all at once; and a run on every fork.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use stageflow::context::{ContextSnapshot, RunId, SeededIds};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use tokio::task::yield_now;

use super::ids::Ids;
use crate::harness::witness::Witness;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError, Runtime};

const STAGES: usize = 3;
const DEPTH: usize = 10;

/// A fork as it was made, and as its maker left it: it wrote once more after its own child was forked.
#[derive(Clone)]
struct Link {
    early: ContextSnapshot,
    late: ContextSnapshot,
}

/// Makes forks. The breaks are here.
struct Forker {
    ids: Ids,
    witness: Witness,
    made: AtomicU64,
    last: Mutex<Option<ContextSnapshot>>,
}

impl Forker {
    fn strikes(&self, name: &str) -> bool {
        self.witness.is_broken(name) && self.made.fetch_add(1, Ordering::Relaxed) % 1000 == 999
    }

    /// A chain of forks, each with a marker of its own.
    async fn chain(&self, root: &ContextSnapshot, stage: usize) -> Result<Vec<Link>, Stop> {
        let mut links: Vec<Link> = Vec::with_capacity(DEPTH);
        let mut parent = root.clone();
        for depth in 1..=DEPTH {
            let (child, late) = self.fork(&parent, stage, depth)?;
            if let Some(link) = links.last_mut() {
                link.late = late;
            }
            // Others get their turn between a fork and the next.
            yield_now().await;
            links.push(Link {
                early: child.clone(),
                late: child.clone(),
            });
            parent = child;
        }
        Ok(links)
    }

    /// A child, and its parent after a write of its own.
    fn fork(
        &self,
        parent: &ContextSnapshot,
        stage: usize,
        depth: usize,
    ) -> Result<(ContextSnapshot, ContextSnapshot), Stop> {
        let uuid = uuid_of(self.ids.next());
        let mut identity = parent.identity().child(uuid?, &format!("stage-{stage}"))?;
        if self.strikes("lost-org") {
            identity = identity.with_org_id(None);
        }
        let mut late = parent.with_metadata(format!("late.{stage}.{}", depth - 1), json!(depth))?;
        let from = if self.strikes("live-parent") {
            late.clone()
        } else {
            parent.clone()
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let from = match last.replace(parent.clone()) {
            Some(beside) if self.strikes("seen-beside") => beside,
            _ => from,
        };
        let child = from
            .fork(identity)
            .with_metadata(format!("marker.{stage}.{depth}"), json!(depth))?;
        if self.strikes("write-through") {
            late = late.with_metadata(format!("marker.{stage}.{depth}"), json!(depth))?;
        }
        Ok((child, late))
    }
}

/// Ids go through their text: that is how other processes see them.
fn uuid_of(id: u128) -> Result<RunId, Stop> {
    Ok(format!("run_{id:032x}").parse()?)
}

type Chains = Vec<Vec<Link>>;

fn pipeline(forker: &Arc<Forker>) -> Result<Pipeline<(), Chains>, LabError> {
    let mut p = Pipeline::builder("forks");
    let start = p.input::<()>();
    let mut stages = Vec::new();
    for stage in 0..STAGES {
        let forker = Arc::clone(forker);
        let run = stage_fn(move |cx: StageCx, _: Arc<()>| {
            let forker = Arc::clone(&forker);
            async move { forker.chain(cx.snapshot(), stage).await }
        });
        stages.push(p.stage(format!("stage-{stage}"), run).spawn().after(start));
    }
    let join = stage_fn(async |_cx: StageCx, chains: Vec<Arc<Vec<Link>>>| {
        Ok::<_, Stop>(
            chains
                .iter()
                .map(|chain| (**chain).clone())
                .collect::<Chains>(),
        )
    });
    let join = p.stage("join", join).after(stages);
    p.output(join).build().map_err(LabError::new)
}

/// A run on a fork says which snapshot it saw.
fn below() -> Result<Pipeline<(), ContextSnapshot>, LabError> {
    let mut p = Pipeline::builder("below");
    let start = p.input::<()>();
    let stage = stage_fn(async |cx: StageCx, _: Arc<()>| Ok::<_, Stop>(cx.snapshot().clone()));
    let stage = p.stage("look", stage).after(start);
    p.output(stage).build().map_err(LabError::new)
}

pub(super) fn three_chains(lab: &mut Lab) -> Result<(), LabError> {
    let forker = Arc::new(Forker {
        ids: Ids::new(lab.witness()),
        witness: lab.witness(),
        made: AtomicU64::new(0),
        last: Mutex::default(),
    });
    let (pipeline, below) = (pipeline(&forker)?, below()?);
    let (mut bleeds, mut session) = ([0_u64; 3], HashSet::new());
    let count = lab.scaled(1200);
    lab.trials(count, |lab, trial| {
        let root = ContextSnapshot::new(full_identity(&SeededIds::new(trial.seed.get())))
            .with_metadata("root", json!(trial.index))
            .map_err(LabError::new)?;
        let before = root.digest().map_err(LabError::new)?;
        let sink = RecordingSink::new();
        let engine = lab.engine().events(sink.clone()).build();
        let runtime = if trial.index % 2 == 0 {
            Runtime::Mt2
        } else {
            Runtime::Ct
        };
        let witness = lab.witness();
        let done = lab.on(
            runtime,
            run_all(&engine, &pipeline, &below, &root, &witness),
        )?;
        let chains = done?;
        check_chains(&witness, &root, &chains, &mut bleeds, &mut session);
        check_events(&witness, &sink, &root, &chains);
        let after = root.digest().map_err(LabError::new)?;
        lab.check(
            before == after,
            "forks leave their parent as it was",
            Breach::Leaked,
            || format!("{before} became {after}"),
        );
        Ok(())
    })?;
    for (name, count) in ["bleed_up", "bleed_down", "bleed_side"]
        .into_iter()
        .zip(bleeds)
    {
        lab.metric(name, "count", count as f64);
    }
    lab.metric("forks", "count", session.len() as f64);
    Ok(())
}

/// The three chains, and then a run on every fork.
async fn run_all(
    engine: &Engine,
    pipeline: &Pipeline<(), Chains>,
    below: &Pipeline<(), ContextSnapshot>,
    root: &ContextSnapshot,
    witness: &Witness,
) -> Result<Arc<Chains>, LabError> {
    let options = RunOptions::new().snapshot(root.clone());
    let report = engine.run(pipeline, (), options).await;
    let chains = report.into_output().map_err(LabError::new)?;
    for link in chains.iter().flatten() {
        let options = RunOptions::new().snapshot(link.late.clone());
        let run = engine.run(below, (), options).await;
        let saw = run.output().map_err(LabError::new)?;
        let same = saw.identity() == link.late.identity()
            && keys(saw) == keys(&link.late)
            && run.id() == link.late.run_id();
        witness.check(
            same,
            "a run on a fork sees that fork",
            Breach::Leaked,
            || format!("{saw:?}"),
        );
    }
    Ok(chains)
}

fn keys(snapshot: &ContextSnapshot) -> BTreeSet<String> {
    snapshot
        .metadata()
        .iter()
        .map(|(key, _): (&str, &Value)| key.to_owned())
        .collect()
}

fn check_chains(
    witness: &Witness,
    root: &ContextSnapshot,
    chains: &Chains,
    bleeds: &mut [u64; 3],
    session: &mut HashSet<RunId>,
) {
    let mut ids = HashSet::from([root.run_id()]);
    for (stage, chain) in chains.iter().enumerate() {
        let mut above = vec![root.run_id()];
        for (link, depth) in chain.iter().zip(1..) {
            ids.insert(link.early.run_id());
            let fresh = session.insert(link.early.run_id());
            witness.check(
                fresh,
                "no run id comes twice in a session",
                Breach::Duplicated,
                || link.early.run_id().to_string(),
            );
            check_identity(witness, root, link, &above);
            above.insert(0, link.early.run_id());
            let markers = (1..=depth).map(|depth| format!("marker.{stage}.{depth}"));
            let mut expected: BTreeSet<String> = markers.chain(["root".to_owned()]).collect();
            tally(witness, &expected, &keys(&link.early), bleeds, stage);
            if depth < DEPTH {
                expected.insert(format!("late.{stage}.{depth}"));
            }
            tally(witness, &expected, &keys(&link.late), bleeds, stage);
        }
    }
    witness.check(
        ids.len() == 1 + STAGES * DEPTH,
        "every fork has a run id of its own",
        Breach::Duplicated,
        || format!("{} ids of {} runs", ids.len(), 1 + STAGES * DEPTH),
    );
}

fn check_identity(witness: &Witness, root: &ContextSnapshot, link: &Link, above: &[RunId]) {
    let (own, first) = (link.early.identity(), root.identity());
    let inherited = own.org_id() == first.org_id()
        && own.user_id() == first.user_id()
        && own.session_id() == first.session_id()
        && own.request_id() == first.request_id()
        && own.interaction_id() == first.interaction_id()
        && own.correlation_id() == first.correlation_id();
    witness.check(
        inherited && own.org_id().is_some(),
        "a fork is for the same people",
        Breach::CrossTenant,
        || format!("{own:?} below {first:?}"),
    );
    let lineage = own.lineage().map(|from| from.run_id());
    witness.check(
        lineage.eq(above.iter().copied()) && own.depth() == above.len(),
        "the lineage is the chain of parents",
        Breach::WrongStatus,
        || format!("{own:?}, expected {above:?}"),
    );
}

/// What is there and should not be: a child's marker in its parent, a parent's late write in its child, another stage's.
fn tally(
    witness: &Witness,
    expected: &BTreeSet<String>,
    found: &BTreeSet<String>,
    bleeds: &mut [u64; 3],
    stage: usize,
) {
    if expected == found {
        return;
    }
    for key in found.difference(expected) {
        let own = key.split('.').nth(1) == Some(&stage.to_string());
        let way = if !own {
            2
        } else {
            usize::from(key.starts_with("late"))
        };
        bleeds[way] += 1;
    }
    witness.check(
        false,
        "a fork sees its parent as of the fork, and nothing else",
        Breach::Leaked,
        || format!("stage {stage} sees {found:?}, should see {expected:?}"),
    );
}

/// What is told of a run on a fork is told under the fork's identity.
fn check_events(witness: &Witness, sink: &RecordingSink, root: &ContextSnapshot, chains: &Chains) {
    let mut runs: HashSet<RunId> = chains
        .iter()
        .flatten()
        .map(|link| link.late.run_id())
        .collect();
    runs.insert(root.run_id());
    let told: HashSet<RunId> = sink.runs().into_iter().collect();
    witness.check(
        told == runs,
        "events carry the identity of their run",
        Breach::Leaked,
        || {
            format!(
                "{} runs were told of, there were {}",
                told.len(),
                runs.len()
            )
        },
    );
}
