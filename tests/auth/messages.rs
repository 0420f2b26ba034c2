//! What the errors say, to the letter.

use stageflow::auth::{AuthError, AuthErrorKind, KeyErrorKind, StaticKeys, TokenAlgorithm};
use stageflow::interceptors::{Refusal, RefusalKind};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use expect_test::expect;
use serde_json::{Value, json};

use crate::support::{Desk, NOW, Publisher, claims, org, rsa};

fn refused(options: RunOptions) -> String {
    let publisher = Publisher::of(rsa().jwks());
    let went = paused(async { Desk::of_tokens(&publisher, 0).run(options).await });
    let of_cause = |line: &&str| line.starts_with("SF06");
    went.said.lines().rfind(of_cause).unwrap_or_default().to_owned()
}

fn shown(change: impl FnOnce(&mut Value)) -> String {
    let mut says = claims(org(1));
    change(&mut says);
    let token = Credentials::bearer(rsa().token(&says));
    refused(RunOptions::new().org(org(1)).credentials(token))
}

#[test]
fn each_refusal_says_what_and_what_to_do() {
    let text = |token: &str| refused(RunOptions::new().credentials(Credentials::bearer(token)));
    let all = [
        refused(RunOptions::new()),
        text("garbage"),
        text(&"x".repeat(20_000)),
        text(&stageflow_testkit::tokens::hs256(b"secret", "first", &claims(org(1)))),
        shown(|says| says["exp"] = json!(NOW - 65)),
        shown(|says| says["nbf"] = json!(NOW + 65)),
        shown(|says| says["iss"] = json!("https://evil.example.org")),
        shown(|says| says["aud"] = json!("billing")),
        shown(|says| says["org_id"] = json!("acme")),
        shown(|says| says["org_id"] = json!(org(2))),
        shown(|says| says["exp"] = json!("tomorrow")),
        shown(|says| says["roles"] = json!(7)),
    ];
    expect![""].assert_eq(&all.join("\n"));
}

#[test]
fn whoever_asked_is_told_less() {
    let told = |kind| {
        let refusal = Refusal::from(AuthError::new(kind, "the inner reason"));
        (refusal.kind(), refusal.code(), refusal.public())
    };
    let show = "show valid credentials";
    assert_eq!(told(AuthErrorKind::Expired), (RefusalKind::Unauthenticated, "SF0605", show));
    assert_eq!(told(AuthErrorKind::NoOrg), (RefusalKind::Unauthenticated, "SF0609", show));
    assert_eq!(told(AuthErrorKind::WrongOrg), (RefusalKind::Forbidden, "SF0610", "you may not do this"));
    let (kind, code, _) = told(AuthErrorKind::Undecided);
    assert_eq!((kind, code), (RefusalKind::Undecided, "SF0611"));
}

#[test]
fn keys_that_are_none_say_so() {
    let kinds = ["", "{}", r#"{"keys":[]}"#].map(|text| StaticKeys::jwks(text).unwrap_err().kind());
    assert_eq!(kinds, [KeyErrorKind::Unreadable, KeyErrorKind::Unreadable, KeyErrorKind::NoKeys]);
    let error = StaticKeys::pem(TokenAlgorithm::Es256, rsa().public_pem()).unwrap_err();
    expect![""].assert_eq(&error.to_string());
}
