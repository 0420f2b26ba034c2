//! Fifty requests under one key, each with an engine of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::{OrgId, StageErrorKind};
use stageflow::interceptors::IdempotencyStore;
use stageflow::interceptors::idempotency::{
    Asker, Begun, Finished, KeepFor, Keeps, Kept, Renewed, Scope, StoreError, Token,
};
use stageflow::prelude::*;
use tokio::time::{sleep, timeout};

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

const REQUESTS: usize = 50;
const STAGES: [&str; 2] = ["pay", "mail"];

pub(super) fn scenario() -> Scenario {
    Scenario::new("A01-ONE-EFFECT", "fifty requests under one key")
        .proves(
            "of requests under one key, each with an engine of its own, one does the work for each org and stage; all others \
             get its answer, or are told that they ask for something else; a holder that is dropped strands nobody",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["WORK-002"])
        .modes(["C3", "T3"])
        .expected(Duration::from_secs(2))
        .control(Control::own("any-org", "a key is good for all orgs"))
        .control(Control::own("any-stage", "a key is good for all stages"))
        .control(Control::own("leak", "a holder that is dropped keeps the work for ever"))
        .control(Control::own("any-parameters", "what was asked for does not matter"))
        .run(run)
}

/// A store that may be broken, in front of the one that is shared.
#[derive(Clone)]
struct Store {
    inside: MemoryIdempotencyStore,
    any_org: bool,
    any_stage: bool,
    leaks: bool,
    any_parameters: bool,
}

impl Store {
    fn new(lab: &Lab) -> Self {
        Self {
            inside: MemoryIdempotencyStore::new(),
            any_org: lab.is_broken("any-org"),
            any_stage: lab.is_broken("any-stage"),
            leaks: lab.is_broken("leak"),
            any_parameters: lab.is_broken("any-parameters"),
        }
    }

    fn scope(&self, scope: &Scope) -> Scope {
        let org = scope.org().filter(|_| !self.any_org);
        let stage = match STAGES[0].parse() {
            Ok(stage) if self.any_stage => stage,
            _ => scope.stage().clone(),
        };
        Scope::new(scope.pipeline(), stage, scope.key().clone()).for_org(org)
    }

    fn asker(&self, asker: &Asker) -> Asker {
        let parameters = asker.parameters.filter(|_| !self.any_parameters);
        asker.clone().with_parameters(parameters)
    }

    fn lease(&self, lease: Duration) -> Duration {
        if self.leaks { Duration::MAX } else { lease }
    }
}

#[async_trait]
impl IdempotencyStore for Store {
    fn keeps(&self) -> Keeps {
        Keeps::Values
    }

    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        let asker = self.asker(asker);
        let (scope, lease) = (self.scope(scope), self.lease(lease));
        self.inside.begin(&scope, &asker, lease).await
    }

    async fn wait(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        let asker = self.asker(asker);
        let (scope, lease) = (self.scope(scope), self.lease(lease));
        self.inside.wait(&scope, &asker, lease).await
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        let (scope, lease) = (self.scope(scope), self.lease(lease));
        self.inside.renew(&scope, token, lease).await
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        let scope = self.scope(scope);
        self.inside.finish(&scope, token, kept, keep).await
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.inside.release(&self.scope(scope), token).await
    }

    fn abandon(&self, scope: &Scope, token: Token) {
        if !self.leaks {
            self.inside.abandon(&self.scope(scope), token);
        }
    }
}

/// What was done, and for whom.
#[derive(Clone, Debug, PartialEq)]
struct Effect {
    org: Option<OrgId>,
    stage: &'static str,
    amount: u64,
    number: usize,
}

/// Everything that was done in a trial.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Effect>>>);

impl Ledger {
    fn write(&self, org: Option<OrgId>, stage: &'static str, amount: u64) -> Effect {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.len();
        let effect = Effect {
            org,
            stage,
            amount,
            number,
        };
        all.push(effect.clone());
        effect
    }

    fn all(&self) -> Vec<Effect> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One request: for whom, for what, when it comes, how long its work takes, and when its caller goes away.
#[derive(Clone, Debug)]
struct Request {
    org: Option<OrgId>,
    amount: u64,
    comes: Duration,
    takes: Duration,
    goes: Option<Duration>,
}

fn draw(rng: &mut ChaCha8Rng, orgs: &[Option<OrgId>]) -> Request {
    let mut ms = |range: std::ops::Range<u64>| Duration::from_millis(rng.random_range(range));
    let (comes, takes, goes) = (ms(0..30), ms(0..20), ms(1..60));
    Request {
        org: orgs[rng.random_range(0..orgs.len())],
        amount: if rng.random_bool(0.1) { 1000 } else { 100 },
        comes,
        takes,
        goes: rng.random_bool(0.3).then_some(goes),
    }
}

type Answer = (Arc<Effect>, Arc<Effect>);

fn pipeline(request: &Request, ledger: &Ledger) -> Result<Pipeline<u64, Answer>, LabError> {
    let mut p = Pipeline::builder("checkout");
    let amount = p.input::<u64>();
    let work = |stage: &'static str| {
        let (ledger, org, takes) = (ledger.clone(), request.org, request.takes);
        move |amount: u64| {
            let ledger = ledger.clone();
            async move {
                sleep(takes).await;
                Ok::<_, Stop>(ledger.write(org, stage, amount))
            }
        }
    };
    let [pay, mail] = STAGES.map(work);
    let pay = stage_fn(move |_cx: StageCx, amount: Arc<u64>| pay(*amount));
    let pay = p.stage(STAGES[0], pay).kind(StageKind::Work).after(amount);
    let mail = stage_fn(move |_cx: StageCx, (amount, _): (Arc<u64>, Arc<Effect>)| mail(*amount));
    let mail = p
        .stage(STAGES[1], mail)
        .kind(StageKind::Work)
        .after((amount, pay));
    let both = async |_cx, both: Answer| Ok(both);
    let both = p.stage("both", stage_fn(both)).after((pay, mail));
    p.output(both).build().map_err(LabError::new)
}

/// What a request came to; `None` if its caller went away.
async fn asked(
    engine: Engine,
    pipeline: Pipeline<u64, Answer>,
    request: &Request,
    key: Idempotency,
) -> Option<RunReport<Answer>> {
    sleep(request.comes).await;
    let options = RunOptions::new().idempotency(key);
    let options = match request.org {
        Some(org) => options.org(org),
        None => options,
    };
    let run = engine.run(&pipeline, request.amount, options);
    match request.goes {
        Some(goes) => timeout(goes, run).await.ok(),
        None => Some(run.await),
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    // None, and two that are one bit apart.
    let org = |end| format!("org_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1{end}").parse::<OrgId>();
    let orgs = [None, org('c').ok(), org('d').ok()];
    let (mut effects, mut replays) = (0, 0);
    lab.trials(lab.scaled(60), |lab, trial| {
        let rng = &mut trial.seed.rng();
        let requests: Vec<Request> = (0..REQUESTS).map(|_| draw(rng, &orgs)).collect();
        let (store, ledger) = (Store::new(lab), Ledger::default());
        let mut asking = Vec::new();
        for request in &requests {
            let layer = IdempotentWork::new(store.clone());
            let engine = lab.engine().intercept(layer).build();
            let key = Idempotency::new("order-17".parse().map_err(LabError::new)?);
            let key = key
                .with_parameters(&request.amount)
                .map_err(LabError::new)?;
            asking.push(asked(engine, pipeline(request, &ledger)?, request, key));
        }
        let reports = lab.paused(async {
            let reports = timeout(Duration::from_secs(3600), join_all(asking)).await;
            // What was dropped is seen through by somebody else.
            sleep(Duration::from_secs(60)).await;
            reports.ok()
        });
        let Some(reports) = reports else {
            lab.check(false, "every request ends", Breach::Hang, || {
                format!("{store:?}", store = store.inside)
            });
            return Ok(());
        };
        let done = ledger.all();
        effects += done.len() as u64;
        replays += judge(lab, &requests, &reports, &done);
        let left = (store.inside.held(), store.inside.waiting());
        lab.check(
            left == (0, 0),
            "nobody holds or waits in the end",
            Breach::Leaked,
            || format!("{left:?}"),
        );
        Ok(())
    })?;
    lab.metric("effects", "count", effects as f64);
    lab.metric("replays", "count", replays as f64);
    Ok(())
}

/// Holds what was answered against what was done. How many answers were replays.
fn judge(
    lab: &Lab,
    requests: &[Request],
    reports: &[Option<RunReport<Answer>>],
    done: &[Effect],
) -> u64 {
    let mut of_scope: BTreeMap<_, Vec<&Effect>> = BTreeMap::new();
    for effect in done {
        of_scope
            .entry((effect.org, effect.stage))
            .or_default()
            .push(effect);
    }
    for (scope, effects) in &of_scope {
        lab.check(
            effects.len() == 1,
            "work is done once for each org and stage",
            Breach::Duplicated,
            || format!("{scope:?}: {effects:?}"),
        );
    }
    let mut replays = 0;
    for (request, report) in requests.iter().zip(reports) {
        let Some(report) = report else { continue };
        let Ok((pay, mail)) = report.output() else {
            let kind = report.error().map(|error| error.kind());
            lab.check(
                kind == Some(&StageErrorKind::KeyReused),
                "only who asks for something else gets no answer",
                Breach::WrongStatus,
                || format!("{request:?}: {:?}", report.error()),
            );
            continue;
        };
        for (effect, stage) in [pay, mail].into_iter().zip(STAGES) {
            let expected = of_scope
                .get(&(request.org, stage))
                .and_then(|all| all.first());
            let right = expected.is_some_and(|expected| **expected == **effect);
            lab.check(
                right && effect.amount == request.amount,
                "an answer is what was done for this org, stage and amount",
                Breach::WrongStatus,
                || format!("{request:?} got {effect:?}, done was {expected:?}"),
            );
        }
        let attempts = STAGES.map(|stage| report.stage(stage).map_or(0, |s| s.attempts()));
        replays += attempts.iter().filter(|attempts| **attempts == 0).count() as u64;
    }
    replays
}
