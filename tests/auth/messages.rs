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
    went.said
        .lines()
        .rfind(of_cause)
        .unwrap_or_default()
        .to_owned()
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
        text(&stageflow_testkit::tokens::hs256(
            b"secret",
            "first",
            &claims(org(1)),
        )),
        shown(|says| says["exp"] = json!(NOW - 65)),
        shown(|says| says["nbf"] = json!(NOW + 65)),
        shown(|says| says["iss"] = json!("https://evil.example.org")),
        shown(|says| says["aud"] = json!("billing")),
        shown(|says| says["org_id"] = json!("acme")),
        shown(|says| says["org_id"] = json!(org(2))),
        shown(|says| says["exp"] = json!("tomorrow")),
        shown(|says| says["roles"] = json!(7)),
    ];
    expect![[r#"
        SF0601: the run has no `credentials`, which this engine asks of each; give them with `RunOptions::credentials`, or attach a `Principal`
        SF0602: the `token` does not have the form of a signed one, three parts with `.` between them; send it as it was given
        SF0603: the `token` has 20000 bytes, which is more than 16384; ask for one with fewer claims, or raise `JwtRules::max_len`
        SF0604: the `alg` of the token is none that counts here; let it be signed with RS256, PS256, ES256 or EdDSA
        SF0605: the token is over by its `exp` and 5s of leeway, since 60s; ask for a new one
        SF0606: the token is not valid yet by its `nbf` less 5s of leeway, for another 60s; wait that long, or correct the clocks
        SF0607: the claim `iss` is not `https://id.example.org`, whose tokens count here; ask there for a token
        SF0608: the claim `aud` does not name `docs-api`, which this is; ask for a token for it
        SF0609: the claim `org_id` is not the id of an org, and without one nobody is anybody; let the issuer add it
        SF0610: the run is for `org_00000000000000000000000000000001`, and who asks is of `org_00000000000000000000000000000002`; leave the org out, or ask with credentials of that org
        SF0602: the claim `exp` is not a number of seconds since 1970; let the issuer write it so
        SF0602: the claim `roles` is not a list of texts; let the issuer write it so"#]].assert_eq(&all.join("\n"));
}

#[test]
fn whoever_asked_is_told_less() {
    let told = |kind| {
        let refusal = Refusal::from(AuthError::new(kind, "the inner reason"));
        (refusal.kind(), refusal.code(), refusal.public())
    };
    let show = "show valid credentials";
    assert_eq!(
        told(AuthErrorKind::Expired),
        (RefusalKind::Unauthenticated, "SF0605", show)
    );
    assert_eq!(
        told(AuthErrorKind::NoOrg),
        (RefusalKind::Unauthenticated, "SF0609", show)
    );
    assert_eq!(
        told(AuthErrorKind::WrongOrg),
        (RefusalKind::Forbidden, "SF0610", "you may not do this")
    );
    let (kind, code, _) = told(AuthErrorKind::Undecided);
    assert_eq!((kind, code), (RefusalKind::Undecided, "SF0611"));
}

#[test]
fn keys_that_are_none_say_so() {
    let kinds = ["", "{}", r#"{"keys":[]}"#].map(|text| StaticKeys::jwks(text).unwrap_err().kind());
    assert_eq!(
        kinds,
        [
            KeyErrorKind::Unreadable,
            KeyErrorKind::Unreadable,
            KeyErrorKind::NoKeys
        ]
    );
    let error = StaticKeys::pem(TokenAlgorithm::Es256, rsa().public_pem()).unwrap_err();
    expect!["SF0612: the `pem` is not a public key for ES256; give the file that starts with `BEGIN PUBLIC KEY`"].assert_eq(&error.to_string());
}
