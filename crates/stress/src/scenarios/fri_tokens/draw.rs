//! A token with some things wrong, and what the table says about it.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde_json::{Value, json};
use stageflow::context::OrgId;
use stageflow_testkit::tokens::{Signer, SigningKey, hs256, unsigned};

pub(super) const ISSUER: &str = "https://id.example.org";
pub(super) const AUDIENCE: &str = "docs-api";
pub(super) const NOW: u64 = 1_800_000_000;

/// What may be wrong, in the order in which it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    Missing,
    TooLong,
    Garbage,
    Crit,
    NoneAlg,
    SharedSecret,
    UnknownKid,
    OtherAlg,
    OtherSigner,
    Changed,
    Issuer,
    Audience,
    NoEnd,
    Over,
    TooEarly,
    NoSubject,
}

impl Wrong {
    const ALL: [Self; 16] = [
        Self::Missing,
        Self::TooLong,
        Self::Garbage,
        Self::Crit,
        Self::NoneAlg,
        Self::SharedSecret,
        Self::UnknownKid,
        Self::OtherAlg,
        Self::OtherSigner,
        Self::Changed,
        Self::Issuer,
        Self::Audience,
        Self::NoEnd,
        Self::Over,
        Self::TooEarly,
        Self::NoSubject,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::Missing => "SF0601",
            Self::Garbage | Self::Crit | Self::NoEnd | Self::NoSubject => "SF0602",
            Self::TooLong => "SF0603",
            Self::NoneAlg
            | Self::SharedSecret
            | Self::UnknownKid
            | Self::OtherAlg
            | Self::OtherSigner
            | Self::Changed => "SF0604",
            Self::Over => "SF0605",
            Self::TooEarly => "SF0606",
            Self::Issuer => "SF0607",
            Self::Audience => "SF0608",
        }
    }
}

/// The org in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    None,
    Nil,
    Own,
    Other,
}

/// What became of the keys since the engine read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rotation {
    No,
    /// Another one took the place of the first, with which the token is signed.
    SignedBefore,
    /// It is signed with the other one.
    SignedAfter,
}

impl Rotation {
    /// How long ago: the first key is only gone when the keys are read anew.
    pub(super) fn after(self) -> Duration {
        Duration::from_secs(if self == Self::SignedBefore { 601 } else { 61 })
    }
}

/// One cell, of which the test counts how many it has seen.
pub(super) type Cell = (Option<Wrong>, Column, Rotation);

/// The keys of a suite: making them takes longer than trying them.
pub(super) struct Keys {
    pub(super) first: Arc<SigningKey>,
    pub(super) second: Arc<SigningKey>,
    /// Another one of the name of the first.
    foreign: SigningKey,
    unknown: SigningKey,
}

impl Keys {
    pub(super) fn new() -> Self {
        let key = |kid: &str| SigningKey::generate(Signer::EdDsa, kid);
        Self {
            first: Arc::new(key("first")),
            second: Arc::new(key("second")),
            foreign: key("first"),
            unknown: key("unknown"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    wrong: Vec<Wrong>,
    column: Column,
    pub(super) rotation: Rotation,
    /// What the run asks for.
    pub(super) asked: OrgId,
    other: OrgId,
    /// The engine's clock against the issuer's, in seconds.
    pub(super) ahead: i64,
    exp: u64,
    nbf: u64,
    /// How long a claim is that only fills the token.
    filler: usize,
}

impl Case {
    /// Nothing is wrong.
    pub(super) fn valid(asked: OrgId) -> Self {
        Self {
            wrong: Vec::new(),
            column: Column::Own,
            rotation: Rotation::No,
            asked,
            other: asked,
            ahead: 0,
            exp: NOW + 300,
            nbf: NOW,
            filler: 0,
        }
    }

    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let rotation = pick(
            rng,
            &[
                Rotation::No,
                Rotation::No,
                Rotation::SignedBefore,
                Rotation::SignedAfter,
            ],
        );
        let count = match rotation {
            Rotation::No => pick(rng, &[0, 1, 1, 1, 2, 3]),
            // Only what is right but for its key shows whether keys rotate.
            Rotation::SignedBefore | Rotation::SignedAfter => 0,
        };
        let mut wrong: Vec<Wrong> = (0..count).map(|_| pick(rng, &Wrong::ALL)).collect();
        wrong.sort_unstable();
        wrong.dedup();
        let ahead = pick(rng, &[-60, -6, -5, 0, 0, 0, 60]);
        let now = NOW.saturating_add_signed(ahead);
        let (over, early) = (
            wrong.contains(&Wrong::Over),
            wrong.contains(&Wrong::TooEarly),
        );
        let (exp, nbf) = (rng.random_range(0..100), rng.random_range(0..100));
        Self {
            rotation,
            column: pick(
                rng,
                &[
                    Column::None,
                    Column::Nil,
                    Column::Own,
                    Column::Own,
                    Column::Other,
                ],
            ),
            asked: org(rng),
            other: org(rng),
            ahead,
            // The leeway is 5 s: at the edges, and a little within them.
            exp: if over { now - 5 - exp } else { now - 4 + exp },
            nbf: if early { now + 6 + nbf } else { now + 5 - nbf },
            // One in ten is really long: making a megabyte takes longer than refusing it.
            filler: if rng.random_bool(0.1) {
                1 << 20
            } else {
                16 << 10
            },
            wrong,
        }
    }

    fn has(&self, wrong: Wrong) -> bool {
        self.wrong.contains(&wrong)
    }

    pub(super) fn class(&self) -> Cell {
        (self.wrong.first().copied(), self.column, self.rotation)
    }

    /// The code with which it is refused, if it is: the table.
    pub(super) fn cell(&self) -> Option<&'static str> {
        match (self.wrong.first(), self.rotation, self.column) {
            (Some(wrong), _, _) => Some(wrong.code()),
            (None, Rotation::SignedBefore, _) => Some("SF0604"),
            (None, _, Column::None | Column::Nil) => Some("SF0609"),
            (None, _, Column::Other) => Some("SF0610"),
            (None, _, Column::Own) => None,
        }
    }

    /// The org that the token says.
    pub(super) fn org(&self) -> OrgId {
        if self.column == Column::Other {
            self.other
        } else {
            self.asked
        }
    }

    fn claims(&self) -> Value {
        let mut claims = json!({
            "iss": if self.has(Wrong::Issuer) { "https://evil.example.org" } else { ISSUER },
            "aud": if self.has(Wrong::Audience) { json!(["billing"]) } else { json!(AUDIENCE) },
            "sub": if self.has(Wrong::NoSubject) { "" } else { "ada" },
            "nbf": self.nbf,
        });
        if !self.has(Wrong::NoEnd) {
            claims["exp"] = json!(self.exp);
        }
        match self.column {
            Column::None => {}
            Column::Nil => claims["org_id"] = json!("org_00000000000000000000000000000000"),
            Column::Own | Column::Other => claims["org_id"] = json!(self.org()),
        }
        if self.has(Wrong::TooLong) {
            claims["filler"] = json!("x".repeat(self.filler));
        }
        claims
    }

    pub(super) fn token_of(&self, key: &SigningKey) -> String {
        key.token(&self.claims())
    }

    /// What is shown, if anything is.
    pub(super) fn token(&self, keys: &Keys) -> Option<String> {
        if self.has(Wrong::Missing) {
            return None;
        }
        let claims = self.claims();
        if self.has(Wrong::Garbage) {
            return Some(claims.to_string().replace('.', "-"));
        }
        let key = match (
            self.rotation,
            self.has(Wrong::UnknownKid),
            self.has(Wrong::OtherSigner),
        ) {
            (Rotation::SignedAfter, _, _) => &keys.second,
            (_, true, _) => &keys.unknown,
            (_, _, true) => &keys.foreign,
            _ => &*keys.first,
        };
        let mut header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": key.kid() });
        if self.has(Wrong::OtherAlg) {
            header["alg"] = json!("ES256");
        }
        if self.has(Wrong::Crit) {
            header["crit"] = json!(["exp"]);
        }
        Some(
            match (self.has(Wrong::NoneAlg), self.has(Wrong::SharedSecret)) {
                (true, _) => {
                    header["alg"] = json!("none");
                    format!("{}.", unsigned(&header, &claims))
                }
                (_, true) if !self.has(Wrong::Crit) => {
                    hs256(keys.first.public_pem().as_bytes(), key.kid(), &claims)
                }
                _ if self.has(Wrong::Changed) => {
                    changed(&key.token_with(&header, &claims), &claims)
                }
                _ => key.token_with(&header, &claims),
            },
        )
    }
}

/// The same with another subject, under the same signature.
fn changed(token: &str, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["sub"] = json!("eve");
    let parts: Vec<&str> = token.split('.').collect();
    let other = unsigned(&json!({}), &claims);
    let payload = other.split('.').nth(1).unwrap_or_default();
    format!("{}.{payload}.{}", parts[0], parts[2])
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())]
}

fn org(rng: &mut ChaCha8Rng) -> OrgId {
    let digits: u128 = rng.random_range(1..u128::MAX);
    let id = format!("{}{digits:032x}", OrgId::PREFIX);
    // One that is no id is drawn once in 2^128 times: never.
    id.parse()
        .unwrap_or_else(|_| OrgId::generate(&stageflow::context::SystemIds::new()))
}
