//! The table of tokens in the manual, cell by cell.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use stageflow_testkit::tokens::{Signer, SigningKey, hs256, unsigned};
use tokio::time::advance;

use crate::support::{Desk, LASTS, NOW, Publisher, Went, claims, org, rsa};

const MANUAL: &str = include_str!("../../docs/manual/34-who-is-asking.md");

/// What the runs ask for.
const OWN: u128 = 1;
const OTHER: u128 = 2;

/// What is shown in one cell, and to whom.
struct Shown {
    token: Option<String>,
    /// How far the engine's clock is ahead of the issuer's.
    ahead: i64,
    /// What has happened to the keys since the engine read them.
    keys: Keys,
}

enum Keys {
    /// Nothing.
    AsTheyWere,
    /// The only one was replaced by this one, so long ago.
    Replaced(Box<SigningKey>, Duration),
}

/// The claims of a row, for the org of a column.
fn valid(column: &str) -> Value {
    let claims = claims(org(OWN));
    match column {
        "no org" => without(claims, "org_id"),
        "nil org" => with(
            claims,
            "org_id",
            json!("00000000-0000-0000-0000-000000000000"),
        ),
        "own org" => claims,
        "other org" => with(claims, "org_id", json!(org(OTHER))),
        unknown => panic!("a column that no test knows: {unknown}"),
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// What each row of the table means.
fn shown(row: &str, column: &str) -> Shown {
    let plain = |token: String| Shown {
        token: Some(token),
        ahead: 0,
        keys: Keys::AsTheyWere,
    };
    let (key, claims) = (rsa(), valid(column));
    let signed = |claims: &Value| plain(key.token(claims));
    let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": key.kid() });
    match row {
        "nothing" => Shown {
            token: None,
            ..plain(String::new())
        },
        "garbage" => plain("garbage-token".to_owned()),
        "1 MB of it" => signed(&with(claims, "filler", json!("x".repeat(1 << 20)))),
        "`alg: none`, no signature" => plain(format!("{}.", unsigned(&header("none"), &claims))),
        "`HS256` with the public key as the secret" => {
            plain(hs256(key.public_pem().as_bytes(), key.kid(), &claims))
        }
        "another `alg` than the key's, and signed so" => plain(other_alg(&claims)),
        "another `alg` than the key's, and signed as the key says" => {
            plain(key.token_with(&header("PS256"), &claims))
        }
        "signed by somebody else under a known `kid`" => {
            plain(SigningKey::generate(Signer::Rs256, key.kid()).token(&claims))
        }
        "changed after it was signed" => plain(changed(
            &key.token(&claims),
            &with(claims, "sub", json!("eve")),
        )),
        "a `kid` that nobody has published" => {
            plain(SigningKey::generate(Signer::Es256, "unheard-of").token(&claims))
        }
        "no `kid`" => plain(key.token_with(&json!({ "alg": "RS256" }), &claims)),
        "`crit` in its header" => {
            plain(key.token_with(&with(header("RS256"), "crit", json!(["b64"])), &claims))
        }
        "the old key, after it was replaced" => Shown {
            keys: replaced(SigningKey::generate(Signer::Es256, "second"), 601),
            ..signed(&claims)
        },
        "the new key, after it was replaced" => {
            let new = SigningKey::generate(Signer::Es256, "second");
            Shown {
                token: Some(new.token(&claims)),
                ahead: 0,
                keys: replaced(new, 61),
            }
        }
        row => says(row, claims),
    }
}

/// The rows whose tokens are signed as they should be, and say something else.
fn says(row: &str, claims: Value) -> Shown {
    let signed = |claims: &Value| Shown {
        token: Some(rsa().token(claims)),
        ahead: 0,
        keys: Keys::AsTheyWere,
    };
    match row {
        "expired" => signed(&with(claims, "exp", json!(NOW - 5))),
        "expired, less than the leeway ago" => signed(&with(claims, "exp", json!(NOW - 4))),
        "not valid yet" => signed(&with(claims, "nbf", json!(NOW + 6))),
        "not valid yet, by the leeway at most" => signed(&with(claims, "nbf", json!(NOW + 5))),
        "valid, and the clock here is 60 s slow" => Shown {
            ahead: -60,
            ..signed(&claims)
        },
        "valid, and the clock here is 60 s fast" => Shown {
            ahead: 60,
            ..signed(&claims)
        },
        "valid for 30 s, and the clock here is 60 s fast" => Shown {
            ahead: 60,
            ..signed(&with(claims, "exp", json!(NOW + 30)))
        },
        "another `iss`" => signed(&with(claims, "iss", json!("https://id.example.org/"))),
        "another `aud`" => signed(&with(claims, "aud", json!(["billing", "docs-api-2"]))),
        "no `exp`" => signed(&without(claims, "exp")),
        "no `sub`" => signed(&with(claims, "sub", json!(""))),
        "valid" => signed(&claims),
        unknown => panic!("a row that no test knows: {unknown}"),
    }
}

fn replaced(by: SigningKey, seconds_ago: u64) -> Keys {
    Keys::Replaced(Box::new(by), Duration::from_secs(seconds_ago))
}

/// RSA keys can sign in two ways: this is the way that the key was not published for.
fn other_alg(claims: &Value) -> String {
    rsa().token_signed_as(Signer::Ps256, claims)
}

/// The same header and signature around another payload.
fn changed(token: &str, claims: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let other = unsigned(&json!({}), claims);
    let (_, payload) = other.split_once('.').unwrap();
    format!("{}.{payload}.{}", parts[0], parts[2])
}

/// The table: its columns, and its rows with what is in each cell.
fn table() -> (Vec<&'static str>, Vec<(&'static str, Vec<&'static str>)>) {
    let cells = |line: &'static str| -> Vec<&'static str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    };
    let mut lines = MANUAL
        .lines()
        .skip_while(|line| !line.starts_with("| the token is |"));
    let head = cells(lines.next().expect("the manual has the table"));
    let rows = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = cells(line);
            assert_eq!(cells.len(), head.len(), "a row of another length: {line}");
            (cells[0], cells[1..].to_vec())
        });
    (head[1..].to_vec(), rows.collect())
}

#[test]
fn each_cell_of_the_manual_is_as_written() {
    let (columns, rows) = table();
    assert_eq!(columns, ["no org", "nil org", "own org", "other org"]);
    assert_eq!(rows.len(), 26, "rows of the table");
    let names: BTreeSet<_> = rows.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), rows.len(), "a row is there twice");
    for (row, cells) in rows {
        for (column, cell) in columns.iter().zip(cells) {
            let shown = shown(row, column);
            let token = shown.token.clone();
            let went = paused(asked(shown));
            println!("{row} × {column}: {cell}");
            judge(&went, cell, column);
            if let Some(token) = token {
                assert_not_told(&token, &went);
            }
        }
    }
}

async fn asked(shown: Shown) -> Went {
    let publisher = Publisher::of(rsa().jwks());
    let desk = Desk::of_tokens(&publisher, shown.ahead);
    let options = RunOptions::new().org(org(OWN));
    if let Keys::Replaced(new, ago) = shown.keys {
        let before = rsa().token(&claims(org(OWN)));
        let before = options.clone().credentials(Credentials::bearer(before));
        desk.run(before).await.assert_in(org(OWN));
        publisher.publish(new.jwks());
        advance(ago).await;
    }
    match shown.token {
        None => desk.run(options).await,
        Some(token) => {
            desk.run(options.credentials(Credentials::bearer(token)))
                .await
        }
    }
}

fn judge(went: &Went, cell: &str, column: &str) {
    if cell == "in" {
        went.assert_in(org(OWN));
        assert_eq!(went.audits.len(), 1);
        let (name, told) = &went.audits[0];
        assert_eq!(name, "auth.login");
        assert_eq!(told["method"], "bearer");
        assert_eq!(told["subject"], "ada");
        assert_eq!(told["org"], json!(org(OWN)));
        assert_eq!(told["issuer"], crate::support::ISSUER);
        return;
    }
    went.assert_refused(Outcome::Denied, cell);
    let (_, told) = &went.audits[0];
    assert_eq!(told["code"], cell);
    assert_eq!(told["asked_org"], json!(org(OWN)));
    // Somebody who was proved is told of under their own org, and nobody else under any.
    let proved = (cell == "SF0610").then(|| org(OTHER));
    assert_eq!(told.get("org"), proved.map(|org| json!(org)).as_ref());
    assert_eq!(went.orgs.last(), Some(&proved), "told under the wrong org");
    assert!(
        went.orgs.iter().all(|told| *told == proved),
        "{column}: {:?}",
        went.orgs
    );
}

/// No part of a token that is long enough to be one turns up in what is said.
fn assert_not_told(token: &str, went: &Went) {
    for part in token.split('.').filter(|part| part.len() >= 12) {
        assert!(
            !went.said.contains(part),
            "`{part}` was told:\n{}",
            went.said
        );
    }
}

#[test]
fn two_things_wrong_are_never_a_way_in() {
    let (_, rows) = table();
    let defects: [(&str, Value); 7] = [
        ("exp", json!(NOW - 60)),
        ("nbf", json!(NOW + LASTS)),
        ("iss", json!("https://evil.example.org")),
        ("aud", json!("billing")),
        ("sub", json!(7)),
        ("org_id", json!("org_")),
        ("exp", Value::Null),
    ];
    assert!(!rows.is_empty());
    for (one, (name, value)) in defects.iter().enumerate() {
        for (other, more) in &defects[one..] {
            let claims = with(
                with(claims(org(OWN)), name, value.clone()),
                other,
                more.clone(),
            );
            let shown = Shown {
                token: Some(rsa().token(&claims)),
                ahead: 0,
                keys: Keys::AsTheyWere,
            };
            let went = paused(asked(shown));
            assert_eq!(
                (went.outcome, went.calls),
                (Outcome::Denied, 0),
                "{name} and {other}"
            );
        }
    }
}
