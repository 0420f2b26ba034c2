//! Authentication that was switched on, and knows nobody.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde_json::json;
use stageflow::auth::{
    ApiKey, ApiKeys, AuthError, AuthErrorKind, Authenticate, Authenticator, Jwks, JwksFetch,
    JwtAuthenticator, JwtRules, KeyError, Lenience, Methods, Principal, StaticKeys, async_trait,
};
use stageflow::context::{OrgId, SeededIds};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use stageflow_testkit::tokens::{Signer, SigningKey, hs256, unsigned};

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A25-NO-VALIDATOR",
        "authentication that was switched on and left empty",
    )
    .proves(
        "an engine that asks who comes, and knows nobody, lets nobody in: not with a token that looks right, not with one that \
         tests use, not with none, and not when what it asks is away, silent or panics; no stage runs, and no run is told of under \
         the org that it named",
    )
    .theme(Theme::Fri)
    .tier(Tier::Weekly)
    .modes(["T1", "I2", "I3"])
    .expected(Duration::from_secs(2))
    .control(Control::own(
        "mock",
        "takes a validator of tests for a real one, as the earlier system did",
    ))
    .control(Control::own(
        "open-when-away",
        "lets everybody in while what it asks is away",
    ))
    .control(Control::own("no-door", "forgets to ask"))
    .run(run)
}

/// Doors that know nobody, each in its own way.
#[derive(Clone, Copy, Debug)]
enum Door {
    NoKeys,
    NoAlgorithm,
    OtherKeys,
    SilentKeys,
    Both,
    Away,
    Panics,
}

impl Door {
    const ALL: [Self; 7] = [
        Self::NoKeys,
        Self::NoAlgorithm,
        Self::OtherKeys,
        Self::SilentKeys,
        Self::Both,
        Self::Away,
        Self::Panics,
    ];

    fn open(self, keys: &Keys) -> Result<Authenticate, LabError> {
        let rules = || JwtRules::new("https://id.example.org", "docs-api");
        let others = || StaticKeys::jwks(&keys.theirs.jwks()).map_err(LabError::new);
        let own = StaticKeys::jwks(&keys.own.jwks()).map_err(LabError::new)?;
        let nobody = ApiKeys::new(NonZeroUsize::MIN);
        Ok(match self {
            Self::NoKeys => Authenticate::with(nobody),
            Self::NoAlgorithm => {
                Authenticate::with(JwtAuthenticator::new(own, rules().algorithms([])))
            }
            Self::OtherKeys => Authenticate::with(JwtAuthenticator::new(others()?, rules())),
            Self::SilentKeys => {
                Authenticate::with(JwtAuthenticator::new(Jwks::new(Silent), rules()))
            }
            Self::Both => {
                let tokens = JwtAuthenticator::new(others()?, rules());
                Authenticate::with(Methods::of(nobody).or(tokens))
            }
            Self::Away => Authenticate::with(Away),
            Self::Panics => Authenticate::with(Panics),
        })
    }
}

/// Publishes nothing, and never says so.
struct Silent;

#[async_trait]
impl JwksFetch for Silent {
    async fn fetch(&self) -> Result<String, KeyError> {
        std::future::pending().await
    }
}

/// Cannot find out anything.
struct Away;

#[async_trait]
impl Authenticator for Away {
    async fn authenticate(&self, _shown: &Credentials) -> Result<Principal, AuthError> {
        Err(AuthError::new(
            AuthErrorKind::Undecided,
            "the `directory` is away; ask again",
        ))
    }
}

/// Gives up in the middle.
struct Panics;

#[async_trait]
impl Authenticator for Panics {
    async fn authenticate(&self, _shown: &Credentials) -> Result<Principal, AuthError> {
        std::panic::resume_unwind(Box::new("it gave up"))
    }
}

/// Takes anything for anybody.
struct Mock(OrgId);

#[async_trait]
impl Authenticator for Mock {
    async fn authenticate(&self, _shown: &Credentials) -> Result<Principal, AuthError> {
        Ok(Principal::new("somebody", self.0))
    }
}

struct Keys {
    own: SigningKey,
    theirs: SigningKey,
}

/// Something that looks as if it could be right.
fn shown(rng: &mut ChaCha8Rng, keys: &Keys, asked: OrgId) -> Option<Credentials> {
    let claims = json!({
        "iss": "https://id.example.org", "aud": "docs-api", "sub": "ada", "org_id": asked, "exp": 4_000_000_000_u64,
    });
    let header = json!({ "alg": "none", "typ": "JWT" });
    let text = match rng.random_range(0..8) {
        0 => return None,
        1 => return Some(ApiKey::generate(&SeededIds::new(rng.random())).credentials()),
        2 => "garbage-token".to_owned(),
        3 => format!(
            "valid_{:032x}_{:032x}_admin",
            rng.random::<u128>(),
            rng.random::<u128>()
        ),
        4 => format!("{}.", unsigned(&header, &claims)),
        5 => hs256(b"", keys.theirs.kid(), &claims),
        6 => String::new(),
        _ => keys.own.token(&claims),
    };
    Some(Credentials::bearer(text))
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let key = || SigningKey::generate(Signer::EdDsa, "only");
    let keys = Keys {
        own: key(),
        theirs: key(),
    };
    let mut let_in = 0_u64;
    lab.trials(lab.scaled(1000), |lab, trial| {
        let rng = &mut trial.seed.rng();
        let asked = OrgId::generate(&SeededIds::new(rng.random()));
        let door = Door::ALL[rng.random_range(0..Door::ALL.len())];
        let shown = shown(rng, &keys, asked);
        let_in += u64::from(once(lab, &keys, door, shown, asked)?);
        Ok(())
    })?;
    lab.metric("let_in", "count", let_in as f64);
    lab.gate("let_in", Op::AtMost, 0.0);
    Ok(())
}

/// An engine that asks, unless this is a control.
fn engine(
    lab: &Lab,
    keys: &Keys,
    door: Door,
    asked: OrgId,
    sink: RecordingSink,
) -> Result<Engine, LabError> {
    let builder = lab.engine().events(sink).blocking_threshold(Duration::MAX);
    let builder = if lab.is_broken("no-door") {
        builder
    } else if lab.is_broken("mock") {
        builder.admit(Authenticate::with(Mock(asked)))
    } else if lab.is_broken("open-when-away") {
        let anybody = Lenience::ask(move |_, _| Some(Principal::new("anybody", asked)));
        builder.admit(door.open(keys)?.lenience(anybody))
    } else {
        builder.admit(door.open(keys)?)
    };
    Ok(builder.build())
}

/// A pipeline that counts how often it does something.
fn pipeline(calls: &Arc<AtomicU32>) -> Result<Pipeline<u64, u64>, LabError> {
    let counted = Arc::clone(calls);
    let mut p = Pipeline::builder("door");
    let n = p.input::<u64>();
    let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { Ok(*n) }
    });
    let answer = p.stage("answer", stage).after(n);
    p.output(answer).build().map_err(LabError::new)
}

/// One run. Whether it came in.
fn once(
    lab: &mut Lab,
    keys: &Keys,
    door: Door,
    shown: Option<Credentials>,
    asked: OrgId,
) -> Result<bool, LabError> {
    let (sink, calls) = (RecordingSink::new(), Arc::new(AtomicU32::new(0)));
    let engine = engine(lab, keys, door, asked, sink.clone())?;
    let pipeline = pipeline(&calls)?;
    let told = format!("{door:?}, {shown:?}");
    let options = RunOptions::new().org(asked);
    let options = match shown {
        Some(shown) => options.credentials(shown),
        None => options,
    };
    let report = lab.paused(async { engine.run(&pipeline, 7, options).await });
    let came_in = report.output().is_ok();
    let ran = calls.load(Ordering::Relaxed);
    let outside =
        !came_in && ran == 0 && matches!(report.outcome(), Outcome::Denied | Outcome::Failed);
    lab.check(outside, "nobody comes in", Breach::CrossTenant, || {
        format!("{} after {ran} calls: {told}", report.outcome())
    });
    let nobody = sink
        .all()
        .iter()
        .all(|one| one.run.identity().org_id().is_none());
    lab.check(
        nobody,
        "no run is told of under an org that was not proved",
        Breach::CrossTenant,
        || told.clone(),
    );
    Ok(came_in)
}
