//! Who is refused is told of, and what is in doubt is refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stageflow::auth::{
    AuthError, AuthErrorKind, Authenticate, Authenticator, JwtAuthenticator, JwtRules, Principal,
    StaticKeys, async_trait,
};
use stageflow::prelude::*;
use stageflow_testkit::paused;

use crate::support::{AUDIENCE, Desk, ISSUER, LASTS, claims, clock, org, rsa, rules};

fn tokens() -> JwtAuthenticator {
    JwtAuthenticator::new(StaticKeys::jwks(&rsa().jwks()).unwrap(), rules()).with_clock(clock(0))
}

fn bearer(org_number: u128) -> Credentials {
    Credentials::bearer(rsa().token(&claims(org(org_number))))
}

/// Panics when it is asked.
struct Broken;

#[async_trait]
impl Authenticator for Broken {
    async fn authenticate(&self, _: &Credentials) -> Result<Principal, AuthError> {
        panic!("the list of keys is gone")
    }
}

#[test]
fn an_authenticator_that_panics_is_a_failure_that_is_told() {
    paused(async {
        let desk = Desk::new(Authenticate::with(Broken));
        let went = desk.run(RunOptions::new().credentials(bearer(1))).await;
        went.assert_refused(Outcome::Failed, "SF0414");
        let (name, told) = &went.audits[0];
        assert_eq!(name, "auth.failure");
        assert_eq!(
            *told,
            json!({
                "reason": "panicked", "code": "SF0414", "admission": "authenticate", "asked_org": null,
            })
        );
    });
}

#[test]
fn those_whom_a_front_end_refuses_are_told_of() {
    paused(async {
        let told: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let heard = Arc::clone(&told);
        let door = Authenticate::with(tokens()).on_failure(move |notice| {
            let one = (notice.name().to_string(), notice.payload().clone());
            heard.lock().unwrap().push(one);
        });
        door.authenticate(&bearer(1)).await.unwrap();
        assert!(told.lock().unwrap().is_empty(), "ada was let in");
        door.authenticate(&Credentials::bearer("hunter2"))
            .await
            .unwrap_err();
        let expected = json!({
            "reason": "unreadable", "code": "SF0602", "method": "bearer", "asked_org": null,
        });
        assert_eq!(
            *told.lock().unwrap(),
            [("auth.failure".to_owned(), expected)]
        );
        // A run tells of it itself.
        let desk = Desk::new(door);
        let shown = RunOptions::new().credentials(Credentials::bearer("hunter2"));
        desk.run(shown)
            .await
            .assert_refused(Outcome::Denied, "SF0602");
        assert_eq!(told.lock().unwrap().len(), 1);
    });
}

#[test]
fn rules_that_name_nobody_let_nobody_in() {
    paused(async {
        for (issuer, audience, code) in [("", AUDIENCE, "SF0607"), (ISSUER, "", "SF0608")] {
            let mut says = claims(org(1));
            says["iss"] = issuer.into();
            says["aud"] = audience.into();
            let keys = StaticKeys::jwks(&rsa().jwks()).unwrap();
            let tokens = JwtAuthenticator::new(keys, JwtRules::new(issuer, audience));
            let error = tokens
                .with_clock(clock(0))
                .authenticate(&Credentials::bearer(rsa().token(&says)))
                .await
                .unwrap_err();
            assert_eq!(error.code(), code);
        }
    });
}

#[test]
fn leeway_has_a_bound() {
    paused(async {
        for (ahead, comes_in) in [(LASTS + 299, true), (LASTS + 300, false)] {
            let keys = StaticKeys::jwks(&rsa().jwks()).unwrap();
            let tokens = JwtAuthenticator::new(keys, rules().leeway(Duration::MAX));
            let ahead = i64::try_from(ahead).unwrap();
            let found = tokens
                .with_clock(clock(ahead))
                .authenticate(&bearer(1))
                .await;
            assert_eq!(found.is_ok(), comes_in, "{ahead}: {found:?}");
        }
    });
}

#[test]
fn a_token_that_says_something_twice_is_not_read() {
    paused(async {
        let once = claims(org(1)).to_string();
        let twice = [
            once.replacen('{', r#"{"sub":"eve","#, 1),
            once.replacen(
                '{',
                r#"{"org_id":"org_00000000000000000000000000000002","#,
                1,
            ),
            once.replacen('{', r#"{"realm":{"roles":["a"],"roles":["b"]},"#, 1),
            // The same name, written in another way.
            once.replacen('{', r#"{"s\u0075b":"eve","#, 1),
        ];
        let shown = |text: &str| Credentials::bearer(rsa().token_of(text));
        assert!(tokens().authenticate(&shown(&once)).await.is_ok());
        for text in twice {
            let error = tokens().authenticate(&shown(&text)).await.unwrap_err();
            assert_eq!(
                (error.code(), error.kind()),
                ("SF0602", AuthErrorKind::Unreadable),
                "{text}"
            );
        }
    });
}
