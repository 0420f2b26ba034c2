//! Two tenants and a token for each, for trying the service out. The key they are signed with is made at each start and kept
//! nowhere: whoever runs the service for others starts it with `--issuer`.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stageflow::auth::{JwtAuthenticator, JwtRules, StaticKeys};
use stageflow::context::{SystemClock, WallClock as _};

use crate::BoxError;

pub(crate) const ISSUER: &str = "stageflow-demo";
pub(crate) const AUDIENCE: &str = "stageflow-service";

/// Somebody to try it out as. The ids are always the same, so that documents are found again after a restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Somebody {
    pub(crate) tenant: &'static str,
    pub(crate) org: &'static str,
    pub(crate) user: &'static str,
    pub(crate) tier: &'static str,
}

pub(crate) const ACME: Somebody = Somebody {
    tenant: "acme",
    org: "org_0a000000000070008000000000000001",
    user: "usr_0a0000000000700080000000000000aa",
    tier: "pro",
};
pub(crate) const GLOBEX: Somebody = Somebody {
    tenant: "globex",
    org: "org_0b000000000070008000000000000002",
    user: "usr_0b0000000000700080000000000000bb",
    tier: "free",
};

/// A key that signs tokens.
pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    /// With a new key.
    pub(crate) fn new() -> Result<Self, BoxError> {
        Ok(Self(Ed25519KeyPair::generate()?))
    }

    /// Who takes its tokens.
    pub(crate) fn authenticator(&self) -> Result<JwtAuthenticator, BoxError> {
        let keys = StaticKeys::jwks(&self.jwks())?;
        Ok(JwtAuthenticator::new(keys, JwtRules::new(ISSUER, AUDIENCE)))
    }

    /// What its tokens are held against, as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> String {
        let public = URL_SAFE_NO_PAD.encode(self.0.public_key());
        let key =
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "demo", "x": public });
        json!({ "keys": [key] }).to_string()
    }

    /// A token for half a day, for all that the service does.
    pub(crate) fn token(&self, whom: Somebody) -> String {
        let claims = json!({
            "org_id": whom.org, "sub": whom.user, "roles": ["admin"], "scope": "kb:read kb:write",
        });
        self.sign(claims, Duration::from_secs(12 * 3600))
    }

    /// A token with these claims, and with those that every token has, unless they are among them.
    pub(crate) fn sign(&self, mut claims: Value, valid_for: Duration) -> String {
        let now = SystemClock::new().now();
        let end = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            + valid_for;
        for (name, value) in [
            ("iss", json!(ISSUER)),
            ("aud", json!(AUDIENCE)),
            ("exp", json!(end.as_secs())),
        ] {
            if claims[name].is_null() {
                claims[name] = value;
            }
        }
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encoded(&json!({ "alg": "EdDSA", "kid": "demo", "typ": "JWT" }));
        let signed = format!("{header}.{}", encoded(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// What to type.
pub(crate) fn print(signer: &Signer, url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\nFOR TRYING OUT ONLY: these tokens are signed with a key that was made just now, and they may do everything.\n\
         Start with --issuer and --audience to take those of your identity provider.\n"
    )?;
    for somebody in [ACME, GLOBEX] {
        let name = somebody.tenant.to_uppercase();
        writeln!(out, "{name}={}", signer.token(somebody))?;
    }
    writeln!(
        out,
        "\nWith the two lines above in your shell:\n\n\
         curl -T docs/manual/18-sinks-under-load.md -H \"authorization: Bearer $ACME\" {url}/v1/documents/sinks.md\n\
         curl -H \"authorization: Bearer $ACME\" --json '{{\"question\": \"Which events are never dropped?\"}}' {url}/v1/ask\n\
         curl -N -H \"authorization: Bearer $ACME\" --json '{{\"question\": \"What is a transient failure?\"}}' {url}/v1/ask/stream\n\
         curl -H \"authorization: Bearer $ACME\" {url}/v1/usage\n\
         curl -H \"authorization: Bearer $GLOBEX\" {url}/v1/documents"
    )
}
