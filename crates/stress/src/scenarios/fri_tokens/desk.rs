//! An engine with a door, and what is said of those who come.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use stageflow::auth::{
    AuthError, AuthErrorKind, Authenticate, Authenticator, Jwks, JwksFetch, JwtAuthenticator,
    JwtRules, KeyError, Principal, async_trait,
};
use stageflow::context::{FixedClock, OrgId};
use stageflow::events::{EventKind, EventRecord};
use stageflow::executor::{EngineBuilder, RunErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use super::draw::{AUDIENCE, Case, ISSUER, NOW};
use crate::LabError;

/// Keys as they are published now.
#[derive(Clone)]
pub(super) struct Published(Arc<Mutex<String>>);

impl Published {
    pub(super) fn new(keys: String) -> Self {
        Self(Arc::new(Mutex::new(keys)))
    }

    pub(super) fn publish(&self, keys: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

#[async_trait]
impl JwksFetch for Published {
    async fn fetch(&self) -> Result<String, KeyError> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }
}

/// A door that forgives one thing, in the scenario's own copy.
struct Sloppy {
    tokens: JwtAuthenticator,
    forgives: Option<AuthErrorKind>,
    takes_for: Principal,
}

#[async_trait]
impl Authenticator for Sloppy {
    async fn authenticate(&self, shown: &Credentials) -> Result<Principal, AuthError> {
        let found = self.tokens.authenticate(shown).await;
        match (found, self.forgives) {
            (Err(error), Some(forgiven)) if error.kind() == forgiven => Ok(self.takes_for.clone()),
            (found, _) => found,
        }
    }
}

pub(super) struct Desk {
    engine: Engine,
    sink: RecordingSink,
    pipeline: Pipeline<u64, u64>,
    calls: Arc<AtomicU32>,
    asked: OrgId,
}

/// What was said of one run.
pub(super) struct Said {
    pub(super) outcome: Outcome,
    pub(super) code: Option<&'static str>,
    pub(super) calls: u32,
    pub(super) orgs: Vec<Option<OrgId>>,
    pub(super) audits: Vec<String>,
    pub(super) text: String,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            code,
            calls,
            orgs,
            audits,
            ..
        } = self;
        write!(
            f,
            "{outcome} {code:?}, {calls} calls, {audits:?} under {orgs:?}"
        )
    }
}

impl Desk {
    pub(super) fn new(
        engine: EngineBuilder,
        keys: &Published,
        case: &Case,
        forgives: Option<&str>,
    ) -> Result<Self, LabError> {
        let seconds = NOW.saturating_add_signed(case.ahead);
        let clock = FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let rules = JwtRules::new(ISSUER, AUDIENCE);
        let tokens = JwtAuthenticator::new(Jwks::new(keys.clone()), rules).with_clock(clock);
        let forgives = forgives.map(|what| match what {
            "audience" => AuthErrorKind::WrongAudience,
            "signature" => AuthErrorKind::Unsigned,
            "org" => AuthErrorKind::NoOrg,
            _ => AuthErrorKind::Expired,
        });
        let takes_for = Principal::new("somebody", case.asked);
        let door = Sloppy {
            tokens,
            forgives,
            takes_for,
        };
        let (sink, calls) = (RecordingSink::new(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&calls);
        let mut p = Pipeline::builder("tokens");
        let n = p.input::<u64>();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(*n) }
        });
        let answer = p.stage("answer", stage).after(n);
        let engine = engine
            .events(sink.clone())
            .blocking_threshold(Duration::MAX)
            .admit(Authenticate::with(door).with_clock(clock));
        Ok(Self {
            engine: engine.build(),
            sink,
            pipeline: p.output(answer).build().map_err(LabError::new)?,
            calls,
            asked: case.asked,
        })
    }

    /// Runs with this token, and says what was told.
    pub(super) async fn run(&self, token: Option<String>) -> Said {
        self.sink.clear();
        let before = self.calls.load(Ordering::Relaxed);
        let options = RunOptions::new().org(self.asked);
        let options = match token {
            Some(token) => options.credentials(Credentials::bearer(token)),
            None => options,
        };
        let report = self.engine.run(&self.pipeline, 7, options).await;
        let told = self.sink.all();
        let error = report.output().err();
        let code = error.as_ref().and_then(|error| match error.kind() {
            RunErrorKind::NotAdmitted(refusal) => Some(refusal.code()),
            _ => None,
        });
        let mut text = format!("{error:?}");
        for one in &told {
            let record = serde_json::to_string(&EventRecord::new(&one.run, &one.event));
            // Writing to a string does not fail.
            let _written = write!(text, "\n{:?}\n{}", one.event, record.unwrap_or_default());
        }
        let audits = told
            .iter()
            .filter(|one| matches!(one.event.kind(), EventKind::Audit(_)));
        Said {
            outcome: report.outcome(),
            code,
            calls: self.calls.load(Ordering::Relaxed) - before,
            orgs: told.iter().map(|one| one.run.identity().org_id()).collect(),
            audits: audits.map(|one| one.name().to_owned()).collect(),
            text,
        }
    }
}
