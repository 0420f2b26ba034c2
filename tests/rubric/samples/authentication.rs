//! What is said when it is not proved who asks, when there are no keys to prove it with, and when a key cannot be taken.

use std::sync::Arc;

use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stageflow::auth::{
    ApiKey, ApiKeys, AuthError, Authenticate, Authenticator as _, HttpFetch, Jwks, JwksFetch,
    JwtAuthenticator, JwtRules, KeyError, KeyErrorKind, Principal, StaticKeys, async_trait,
};
use stageflow::context::{FixedClock, SeededIds};
use stageflow::executor::RunErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::tokens::{Signer, SigningKey};
use stageflow_testkit::{paused, script};

use super::{CANARY, Sample, kind_name};

const NOW: u64 = 1_800_000_000;
const ORG: &str = "org_00000000000000000000000000000001";
const OTHER: &str = "org_00000000000000000000000000000002";

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = tokens();
    samples.extend(runs());
    samples.push(over_key());
    samples.extend(keys());
    samples.extend(api_keys());
    samples
}

fn sample(error: &AuthError) -> Sample {
    let kind = kind_name("AuthErrorKind", &error.kind());
    Sample::of("AuthError", &kind, error.code(), error).beside_a_secret()
}

/// Tokens that are wrong in one thing.
fn tokens() -> Vec<Sample> {
    let key = SigningKey::generate(Signer::EdDsa, "only");
    let rules = JwtRules::new("https://id.example.org", "docs-api");
    let rules = rules.max_len(NonZeroUsize::new(1000).unwrap());
    let clock = FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    let door =
        JwtAuthenticator::new(StaticKeys::jwks(&key.jwks()).unwrap(), rules).with_clock(clock);
    let says = json!({
        "iss": "https://id.example.org", "aud": "docs-api", "sub": CANARY, "exp": NOW + 60, "org_id": ORG,
    });
    let refused = |token: String| {
        sample(&paused(door.authenticate(&Credentials::bearer(token))).unwrap_err())
    };
    let with = |name: &str, value: Value| {
        let mut says = says.clone();
        says[name] = value;
        refused(key.token(&says))
    };
    vec![
        refused(format!("{CANARY}-{CANARY}"))
            .names(["token"])
            .facts(["three parts"]),
        with("filler", json!("x".repeat(1000)))
            .names(["token"])
            .facts(["1000", "JwtRules::max_len"]),
        refused(SigningKey::generate(Signer::EdDsa, "only").token(&says))
            .names(["signature"])
            .facts(["changed", "somebody else"]),
        with("exp", json!(NOW - 60))
            .names(["exp"])
            .facts(["5s", "55s"]),
        with("nbf", json!(NOW + 60))
            .names(["nbf"])
            .facts(["5s", "55s"]),
        with("iss", json!(CANARY))
            .names(["iss"])
            .facts(["https://id.example.org"]),
        with("aud", json!(CANARY))
            .names(["aud"])
            .facts(["docs-api"]),
        with("org_id", json!(CANARY))
            .names(["org_id"])
            .facts(["is not the id of an org"]),
    ]
}

/// An API key whose time has passed.
fn over_key() -> Sample {
    let ids = SeededIds::new(1);
    let (key, keys) = (ApiKey::generate(&ids), ApiKeys::new(NonZeroUsize::MIN));
    let sealed = key.seal(Principal::new(CANARY, ORG.parse().unwrap()));
    keys.add(sealed.until(SystemTime::UNIX_EPOCH)).unwrap();
    sample(&paused(keys.authenticate(&key.credentials())).unwrap_err())
        .names(["api key"])
        .facts(["over"])
}

/// Publishes nothing.
struct Silent;

#[async_trait]
impl JwksFetch for Silent {
    async fn fetch(&self) -> Result<String, KeyError> {
        std::future::pending().await
    }
}

/// What runs meet at the door.
fn runs() -> Vec<Sample> {
    let mut p = Pipeline::builder("answer");
    let key = p.input::<String>();
    let hits = p
        .stage("search", script::ok::<Arc<String>, u64>(1))
        .after(key);
    let pipeline = p.output(hits).build().unwrap();
    let refused = |options: RunOptions| {
        let rules = JwtRules::new("https://id.example.org", "docs-api");
        let door = Authenticate::with(JwtAuthenticator::new(Jwks::new(Silent), rules));
        let engine = Engine::builder().admit(door).build();
        let report = paused(async { engine.run(&pipeline, CANARY.to_owned(), options).await });
        let error = report.into_output().unwrap_err();
        let RunErrorKind::NotAdmitted(refusal) = error.kind() else {
            panic!("{error}")
        };
        let cause = std::error::Error::source(refusal).unwrap();
        sample(cause.downcast_ref::<AuthError>().unwrap())
    };
    let token = SigningKey::generate(Signer::EdDsa, "only").token(&json!({ "sub": CANARY }));
    let attached = Principal::new(CANARY, ORG.parse().unwrap());
    vec![
        refused(RunOptions::new())
            .names(["credentials"])
            .facts(["RunOptions::credentials"]),
        refused(
            RunOptions::new()
                .org(OTHER.parse().unwrap())
                .attach(attached),
        )
        .names([ORG])
        .facts([OTHER]),
        refused(RunOptions::new().credentials(Credentials::bearer(token)))
            .names(["keys"])
            .facts(["cannot be had"]),
    ]
}

/// Keys that cannot be read, or may not be fetched.
fn keys() -> Vec<Sample> {
    let sample = |error: &KeyError| {
        let kind = kind_name("KeyErrorKind", &error.kind());
        Sample::of("KeyError", &kind, error.code(), error).beside_a_secret()
    };
    let many = json!({ "keys": vec![json!({ "k": CANARY }); 1001] }).to_string();
    let url = format!("http://ada:{CANARY}@id.example.org/keys?code={CANARY}");
    let mut samples = vec![
        sample(&StaticKeys::jwks(CANARY).unwrap_err())
            .names(["keys"])
            .facts(["JSON Web Key Set"]),
        sample(&StaticKeys::jwks(&many).unwrap_err())
            .names(["keys"])
            .facts(["1001", "1000"]),
        sample(&StaticKeys::jwks(r#"{"keys":[{"kty":"oct"}]}"#).unwrap_err())
            .names(["keys"])
            .facts(["RS256"]),
        sample(&HttpFetch::at(&url).unwrap_err())
            .names(["id.example.org"])
            .facts(["https"]),
    ];
    // Such as a document and a server would cause; the tests of HTTP meet them.
    let made = [
        (
            KeyErrorKind::ForeignIssuer,
            "`https://id.example.org` is of another issuer than `https://id`, which was asked for; give the issuer to the letter",
            "https://id",
        ),
        (
            KeyErrorKind::Unreachable,
            "`https://id.example.org` does not answer, so there are no keys; look whether the provider is well",
            "no keys",
        ),
    ];
    for (kind, detail, fact) in made {
        let error = KeyError::new(kind, detail);
        samples.push(sample(&error).names(["id.example.org"]).facts([fact]));
    }
    samples
}

/// Keys for which there is no room, or which are there.
fn api_keys() -> Vec<Sample> {
    let ids = SeededIds::new(1);
    let keys = ApiKeys::new(NonZeroUsize::MIN);
    let sealed = || ApiKey::generate(&ids).seal(Principal::new(CANARY, ORG.parse().unwrap()));
    let first = sealed();
    keys.add(first.clone()).unwrap();
    [keys.add(sealed()), keys.add(first)]
        .into_iter()
        .map(|refused| {
            let error = refused.unwrap_err();
            let kind = kind_name("ApiKeyErrorKind", &error.kind());
            let sample = Sample::of("ApiKeyError", &kind, error.code(), &error).beside_a_secret();
            if kind.ends_with("Full") {
                sample.names(["ApiKeys"]).facts(["holds 1"])
            } else {
                sample.names(["api key"]).facts(["already"])
            }
        })
        .collect()
}
