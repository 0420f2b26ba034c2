//! What the tests of authentication share.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stageflow::auth::{
    Authenticate, Authenticator, Jwks, JwksFetch, JwtAuthenticator, JwtRules, KeyError, async_trait,
};
use stageflow::context::{FixedClock, OrgId};
use stageflow::events::{EventKind, EventRecord};
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use stageflow_testkit::tokens::{Signer, SigningKey};

pub(crate) const ISSUER: &str = "https://id.example.org";
pub(crate) const AUDIENCE: &str = "docs-api";

/// When all of this happens, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;

/// How long tokens last.
pub(crate) const LASTS: u64 = 300;

/// The key that tokens are signed with unless a test says otherwise. Making one takes a while.
pub(crate) fn rsa() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(Signer::Rs256, "first"))
}

pub(crate) fn org(number: u128) -> OrgId {
    format!("org_{number:032x}").parse().unwrap()
}

/// The clock of an engine that is so many seconds ahead of the issuer's.
pub(crate) fn clock(ahead: i64) -> FixedClock {
    let seconds = NOW.checked_add_signed(ahead).unwrap();
    FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// What a valid token says that was made a moment ago.
pub(crate) fn claims(org: OrgId) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "org_id": org, "iat": NOW, "nbf": NOW, "exp": NOW + LASTS,
        "roles": ["editor"], "scope": "kb:read kb:write",
    })
}

pub(crate) fn rules() -> JwtRules {
    JwtRules::new(ISSUER, AUDIENCE)
}

/// Publishes keys, as long as it is well, and counts how often it is asked.
#[derive(Clone, Default)]
pub(crate) struct Publisher {
    keys: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicU32>,
}

impl Publisher {
    pub(crate) fn of(keys: String) -> Self {
        let publisher = Self::default();
        publisher.publish(keys);
        publisher
    }

    pub(crate) fn publish(&self, keys: String) {
        *self.keys.lock().unwrap() = Some(keys);
    }

    pub(crate) fn falls_silent(&self) {
        *self.keys.lock().unwrap() = None;
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl JwksFetch for Publisher {
    async fn fetch(&self) -> Result<String, KeyError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // It takes a while, so that others come meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let keys = self.keys.lock().unwrap().clone();
        match keys {
            Some(keys) => Ok(keys),
            None => std::future::pending().await,
        }
    }
}

/// An engine with a door, and what came through it.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) sink: RecordingSink,
    pipeline: Pipeline<u64, u64>,
    calls: Arc<AtomicU32>,
}

/// How a run went.
pub(crate) struct Went {
    pub(crate) outcome: Outcome,
    /// The code of the refusal, if the run was not let in.
    pub(crate) code: Option<&'static str>,
    /// Everything that was said of it: events, records, errors.
    pub(crate) said: String,
    /// The names of its events.
    pub(crate) events: Vec<String>,
    /// What its `auth.` events say.
    pub(crate) audits: Vec<(String, Value)>,
    /// The orgs that its events are told under.
    pub(crate) orgs: Vec<Option<OrgId>>,
    /// How often its stage was called.
    pub(crate) calls: u32,
}

impl Desk {
    pub(crate) fn new(door: Authenticate) -> Self {
        let sink = RecordingSink::new();
        let engine = Engine::builder()
            .events(sink.clone())
            .blocking_threshold(Duration::MAX)
            .admit(door)
            .build();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let mut p = Pipeline::builder("ask");
        let n = p.input::<u64>();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Ok(*n) }
        });
        let answer = p.stage("answer", stage).after(n);
        Self {
            engine,
            sink,
            pipeline: p.output(answer).build().unwrap(),
            calls,
        }
    }

    /// With signed tokens, whose keys are published there, and a clock that is so many seconds ahead.
    pub(crate) fn of_tokens(publisher: &Publisher, ahead: i64) -> Self {
        let tokens = JwtAuthenticator::new(Jwks::new(publisher.clone()), rules());
        Self::knowing(tokens.with_clock(clock(ahead)), ahead)
    }

    pub(crate) fn knowing(authenticator: impl Authenticator, ahead: i64) -> Self {
        Self::new(Authenticate::with(authenticator).with_clock(clock(ahead)))
    }

    /// Only how it ended: runs may go on at the same time.
    pub(crate) async fn outcome(&self, options: RunOptions) -> Outcome {
        self.engine.run(&self.pipeline, 7, options).await.outcome()
    }

    pub(crate) async fn run(&self, options: RunOptions) -> Went {
        self.sink.clear();
        let before = self.calls.load(Ordering::Relaxed);
        let report = self.engine.run(&self.pipeline, 7, options).await;
        self.sink.assert_ok();
        let told = self.sink.all();
        let error = report.output().err();
        let code = error.as_ref().and_then(|error| match error.kind() {
            RunErrorKind::NotAdmitted(refusal) => Some(refusal.code()),
            _ => None,
        });
        let mut said = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = error.as_ref().map(|error| error as _);
        while let Some(error) = cause {
            write!(said, "\n{error}\n{error:?}").unwrap();
            cause = error.source();
        }
        for one in &told {
            let record = EventRecord::new(&one.run, &one.event);
            let record = serde_json::to_string(&record).unwrap();
            write!(said, "\n{:?}\n{record}", one.event).unwrap();
        }
        let audits = told.iter().filter_map(|one| match one.event.kind() {
            EventKind::Audit(notice) => Some((notice.name().to_string(), notice.payload().clone())),
            _ => None,
        });
        Went {
            outcome: report.outcome(),
            code,
            audits: audits.collect(),
            events: told.iter().map(|one| one.name().to_owned()).collect(),
            orgs: told.iter().map(|one| one.run.identity().org_id()).collect(),
            calls: self.calls.load(Ordering::Relaxed) - before,
            said,
        }
    }
}

impl Went {
    /// Came in, did its work, and was told of under this org.
    #[track_caller]
    pub(crate) fn assert_in(&self, org: OrgId) {
        assert_eq!(self.outcome, Outcome::Succeeded, "{}", self.said);
        assert_eq!(self.calls, 1, "its stage ran");
        assert!(
            self.orgs.iter().all(|told| *told == Some(org)),
            "told under {:?}",
            self.orgs
        );
    }

    /// Was refused with this code, and did nothing.
    #[track_caller]
    pub(crate) fn assert_refused(&self, outcome: Outcome, code: &str) {
        assert_eq!(
            (self.outcome, self.code),
            (outcome, Some(code)),
            "{}",
            self.said
        );
        assert_eq!(self.calls, 0, "a stage ran");
        assert_eq!(self.events, ["run.started", "auth.failure", "run.ended"]);
    }
}
