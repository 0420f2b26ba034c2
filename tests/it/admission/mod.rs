//! Who is let in is decided before anything of a run starts.

mod endings;
mod holding;
mod identity;
mod permissions;

use std::sync::{Arc, Mutex};

use stageflow::context::{Attached, AuditArea, AuditNotice, OrgId, SystemIds, UserId};
use stageflow::interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::Gate;

use crate::support::{Log, undisturbed};

pub(super) fn org() -> OrgId {
    OrgId::generate(&SystemIds::new())
}

pub(super) fn user() -> UserId {
    UserId::generate(&SystemIds::new())
}

type Act = dyn Fn(&mut Arrival<'_>) -> Result<Pass, Refusal> + Send + Sync;

/// An admission that writes down that it was asked, waits if it is told to, and does what it is told.
pub(super) struct Porter {
    name: &'static str,
    phase: Phase,
    log: Log,
    gate: Option<Gate>,
    act: Arc<Act>,
}

impl Porter {
    pub(super) fn new(
        name: &'static str,
        act: impl Fn(&mut Arrival<'_>) -> Result<Pass, Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            phase: Phase::Admission,
            log: Log::default(),
            gate: None,
            act: Arc::new(act),
        }
    }

    /// One that lets everybody in.
    pub(super) fn open(name: &'static str) -> Self {
        Self::new(name, |_| Ok(Pass::free()))
    }

    /// One that finds out who somebody is.
    pub(super) fn proving(self) -> Self {
        let phase = Phase::Security;
        Self { phase, ..self }
    }

    pub(super) fn told_in(self, log: &Log) -> Self {
        let log = log.clone();
        Self { log, ..self }
    }

    pub(super) fn behind(self, gate: &Gate) -> Self {
        let gate = Some(gate.clone());
        Self { gate, ..self }
    }
}

#[async_trait]
impl Admission for Porter {
    fn name(&self) -> &str {
        self.name
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        self.log.write(format!("{} asked", self.name));
        if let Some(gate) = &self.gate {
            gate.passed().await;
        }
        (self.act)(arrival)
    }
}

/// A guard that writes down when it is given back.
pub(super) struct Token(pub(super) Log, pub(super) &'static str);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.write(self.1);
    }
}

#[test]
fn those_that_prove_are_asked_first_and_then_each_in_turn() {
    stageflow_testkit::paused(async {
        let log = Log::default();
        let engine = undisturbed()
            .admit(Porter::open("quota").told_in(&log))
            .admit(Porter::open("token").proving().told_in(&log))
            .admit(Porter::open("rate").told_in(&log))
            .admit(Porter::open("region").proving().told_in(&log))
            .build();
        let (pipeline, inside) = one_stage(&log);
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &1);
        assert_eq!(report.value(inside).as_deref(), Some(&1));
        assert_eq!(
            log.lines(),
            [
                "token asked",
                "region asked",
                "quota asked",
                "rate asked",
                "stage ran"
            ]
        );
    });
}

/// A pipeline of one stage that writes down that it ran.
pub(super) fn one_stage(log: &Log) -> (Pipeline<u64, u64>, Handle<u64>) {
    let log = log.clone();
    let mut p = Pipeline::builder("one");
    let n = p.input::<u64>();
    let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        log.write("stage ran");
        async move { Ok::<_, Stop>(*n) }
    });
    let a = p.stage("a", stage).after(n);
    (p.output(a).build().unwrap(), a)
}

/// What was seen inside a stage.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<Sight>>>);

/// Whose a run is, and what travels with it.
type Sight = (Option<OrgId>, Option<UserId>, Option<u32>);

impl Seen {
    pub(super) fn note(&self, cx: &StageCx) {
        let identity = cx.identity();
        let number = cx.attached::<u32>().map(|number| *number);
        let seen = (identity.org_id(), identity.user_id(), number);
        self.0.lock().unwrap().push(seen);
    }

    pub(super) fn all(&self) -> Vec<Sight> {
        self.0.lock().unwrap().clone()
    }
}

pub(super) fn said(what: &str) -> AuditNotice {
    AuditNotice::new(AuditArea::Auth, what, serde_json::json!({ "by": "test" }))
}

pub(super) fn refused(kind: RefusalKind) -> Result<Pass, Refusal> {
    Err(Refusal::new(kind, "SF0605: the token is over").with_code("SF0605"))
}

#[test]
fn an_attached_value_takes_the_place_of_the_one_of_its_type() {
    let mut attached = Attached::new();
    attached.insert(1_u32);
    attached.insert("text");
    attached.insert(2_u32);
    assert_eq!(attached.get::<u32>().as_deref(), Some(&2));
    assert_eq!(attached.get::<&str>().as_deref(), Some(&"text"));
    assert_eq!(format!("{attached:?}"), "Attached(2)");
}
