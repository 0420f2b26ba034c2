//! Signed tokens, right and wrong, for tests of whoever checks them: with the feature `tokens`.
//!
//! ```
//! use serde_json::json;
//! use stageflow_testkit::tokens::{Signer, SigningKey};
//!
//! let key = SigningKey::generate(Signer::EdDsa, "2026-11");
//! let token = key.token(&json!({ "sub": "ada", "iss": "https://id.example.org" }));
//! assert_eq!(token.split('.').count(), 3);
//! assert!(key.jwks().contains("2026-11"));
//! ```

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signer {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSASSA-PSS with SHA-256, 2048 bits.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
}

impl Signer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Ps256, Self::Rs256];

    /// Its name in tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A key that signs tokens, new each time.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    signer: Signer,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new key of this name.
    ///
    /// # Panics
    ///
    /// If the machine has no random numbers.
    #[must_use]
    pub fn generate(signer: Signer, kid: &str) -> Self {
        let pair = match signer {
            Signer::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed),
            Signer::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ec),
            Signer::Ps256 | Signer::Rs256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Pair::Rsa(Box::new(pair)))
            }
        };
        Self {
            kid: kid.to_owned(),
            signer,
            pair: must(pair, "a key pair can be made"),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half as a JSON Web Key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref()) })
            }
            Pair::Rsa(pair) => {
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": base64(&key.n), "e": base64(&key.e) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.signer.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// A JSON Web Key Set of its public half alone.
    #[must_use]
    pub fn jwks(&self) -> String {
        jwks(&[self])
    }

    /// Its public half as a PEM file.
    ///
    /// # Panics
    ///
    /// Never for a key that was made here.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_der(),
            Pair::Ed(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        };
        let text = STANDARD.encode(must(der, "a public key can be written").as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// A token with these claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": self.signer.name(), "kid": self.kid });
        self.token_with(&header, claims)
    }

    /// A token with this header, whatever it says.
    ///
    /// # Panics
    ///
    /// If the machine has no random numbers.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.signed(self.signer, header, claims)
    }

    /// A token whose payload is this text, JSON or not.
    ///
    /// # Panics
    ///
    /// If the machine has no random numbers.
    #[must_use]
    pub fn token_of(&self, payload: &str) -> String {
        let header = json!({ "typ": "JWT", "alg": self.signer.name(), "kid": self.kid });
        let header = base64(header.to_string().as_bytes());
        let text = format!("{header}.{}", base64(payload.as_bytes()));
        let signature = self.sign(self.signer, text.as_bytes());
        format!("{text}.{}", base64(&signature))
    }

    /// A token that is signed in another way than the key is published for. Only RSA keys can: others sign as always.
    ///
    /// # Panics
    ///
    /// If the machine has no random numbers.
    #[must_use]
    pub fn token_signed_as(&self, signer: Signer, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": signer.name(), "kid": self.kid });
        self.signed(signer, &header, claims)
    }

    fn signed(&self, signer: Signer, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.sign(signer, text.as_bytes());
        format!("{text}.{}", base64(&signature))
    }

    fn sign(&self, signer: Signer, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => must(pair.sign(&random, text), "it signs").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(text).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = match signer {
                    Signer::Ps256 => pair.sign(&RSA_PSS_SHA256, &random, text, &mut signature),
                    _ => pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature),
                };
                must(signed, "it signs");
                signature
            }
        }
    }
}

/// A JSON Web Key Set of the public halves of these keys.
#[must_use]
pub fn jwks(keys: &[&SigningKey]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// Header and claims as a token has them, without a signature and the dot before it.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| base64(part.to_string().as_bytes()));
    format!("{header}.{claims}")
}

/// A token with a shared secret, which is how checkers are confused: with the public key as that secret.
#[must_use]
pub fn hs256(secret: &[u8], kid: &str, claims: &Value) -> String {
    let text = unsigned(&json!({ "typ": "JWT", "alg": "HS256", "kid": kid }), claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", base64(tag.as_ref()))
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(
    clippy::panic,
    reason = "a test that cannot make its tokens has failed"
)]
fn must<T, E>(made: Result<T, E>, what: &str) -> T {
    made.unwrap_or_else(|_| panic!("{what}"))
}
