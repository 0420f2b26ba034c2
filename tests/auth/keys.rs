//! Keys that are published, changed, and away: in virtual time, and counted where they are published.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::auth::{Jwks, JwksFetch, JwtAuthenticator, KeyError, async_trait};
use stageflow::context::OrgId;
use stageflow::prelude::*;
use stageflow_testkit::paused;
use stageflow_testkit::tokens::{Signer, SigningKey, jwks};
use tokio::time::{Instant, advance};

use crate::support::{Desk, Publisher, Went, claims, clock, org, rsa, rules};

fn own() -> OrgId {
    org(1)
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Signer::EdDsa, kid)
}

async fn shows(desk: &Desk, key: &SigningKey) -> Went {
    let token = key.token(&claims(own()));
    desk.run(RunOptions::new().credentials(Credentials::bearer(token)))
        .await
}

async fn seconds(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[test]
fn each_way_of_signing_comes_in() {
    for signer in Signer::ALL {
        let key = SigningKey::generate(signer, "only");
        let publisher = Publisher::of(key.jwks());
        paused(async {
            shows(&Desk::of_tokens(&publisher, 0), &key)
                .await
                .assert_in(own());
        });
    }
}

#[test]
fn a_new_key_counts_at_once_beside_the_old_one() {
    let (old, new) = (key("old"), key("new"));
    let publisher = Publisher::of(old.jwks());
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        shows(&desk, &old).await.assert_in(own());
        seconds(61).await;
        publisher.publish(jwks(&[&old, &new]));
        shows(&desk, &new).await.assert_in(own());
        shows(&desk, &old).await.assert_in(own());
        assert_eq!(
            publisher.asked(),
            2,
            "once at the start, once for the new key"
        );
    });
}

#[test]
fn made_up_keys_cost_one_request_a_minute() {
    let publisher = Publisher::of(rsa().jwks());
    let made_up: Vec<SigningKey> = (0..50).map(|n| key(&format!("made-up-{n}"))).collect();
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        for minute in 1..=3 {
            for key in &made_up {
                shows(&desk, key)
                    .await
                    .assert_refused(Outcome::Denied, "SF0604");
            }
            assert_eq!(publisher.asked(), minute);
            seconds(60).await;
        }
    });
}

#[test]
fn many_at_once_wait_for_one_request() {
    let publisher = Publisher::of(rsa().jwks());
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        let token = rsa().token(&claims(own()));
        let principals = join_all((0..100).map(|_| {
            let shown = RunOptions::new().credentials(Credentials::bearer(token.clone()));
            desk.outcome(shown)
        }));
        assert!(
            principals
                .await
                .iter()
                .all(|outcome| *outcome == Outcome::Succeeded)
        );
        assert_eq!(publisher.asked(), 1);
    });
}

#[test]
fn old_keys_are_good_for_so_long_when_the_provider_is_away() {
    let (known, unknown) = (key("known"), key("unknown"));
    let publisher = Publisher::of(known.jwks());
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        shows(&desk, &known).await.assert_in(own());
        publisher.falls_silent();
        seconds(3600).await;
        shows(&desk, &known).await.assert_in(own());
        // It may be new: nobody knows.
        shows(&desk, &unknown)
            .await
            .assert_refused(Outcome::Failed, "SF0611");
        // Ten minutes and an hour after they were read.
        seconds(580).await;
        shows(&desk, &known).await.assert_in(own());
        seconds(30).await;
        let asked = publisher.asked();
        shows(&desk, &known)
            .await
            .assert_refused(Outcome::Failed, "SF0611");
        shows(&desk, &known)
            .await
            .assert_refused(Outcome::Failed, "SF0611");
        assert!(
            publisher.asked() <= asked + 1,
            "asked again within a minute"
        );
        publisher.publish(known.jwks());
        seconds(60).await;
        shows(&desk, &known).await.assert_in(own());
        shows(&desk, &unknown)
            .await
            .assert_refused(Outcome::Denied, "SF0604");
    });
}

#[test]
fn whoever_gives_up_does_not_close_the_door_for_others() {
    let publisher = Publisher::of(rsa().jwks());
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        let token = Credentials::bearer(rsa().token(&claims(own())));
        let hurried = RunOptions::new()
            .credentials(token)
            .deadline(Duration::from_millis(50));
        assert_eq!(desk.outcome(hurried).await, Outcome::TimedOut);
        // It goes on where it was left.
        shows(&desk, rsa()).await.assert_in(own());
        assert_eq!(publisher.asked(), 1);
    });
}

/// Shows a token of this key, and goes away while the keys are fetched.
async fn shows_and_leaves(desk: &Desk, key: &SigningKey) {
    let token = Credentials::bearer(key.token(&claims(own())));
    let run = desk.outcome(RunOptions::new().credentials(token));
    let left = tokio::time::timeout(Duration::from_millis(20), run).await;
    assert!(left.is_err(), "it did not wait for the keys");
}

#[test]
fn a_hundred_that_go_away_make_one_request() {
    for known in [true, false] {
        let publisher = Publisher::of(rsa().jwks());
        paused(async {
            let desk = Desk::of_tokens(&publisher, 0);
            if known {
                shows(&desk, rsa()).await.assert_in(own());
                seconds(61).await;
            }
            let before = publisher.asked();
            let made_up = key("made-up");
            // At the same time: one after the other they would drive it to its end.
            join_all((0..50).map(|_| shows_and_leaves(&desk, &made_up))).await;
            join_all((0..50).map(|_| shows_and_leaves(&desk, &made_up))).await;
            assert_eq!(publisher.asked() - before, 1, "with keys: {known}");
        });
    }
}

#[test]
fn nobody_who_leaves_keeps_a_new_key_out() {
    let (old, new) = (key("old"), key("new"));
    let publisher = Publisher::of(old.jwks());
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        shows(&desk, &old).await.assert_in(own());
        seconds(61).await;
        publisher.publish(jwks(&[&old, &new]));
        shows_and_leaves(&desk, &key("made-up")).await;
        // Long after `timeout`, and within the minute.
        seconds(20).await;
        shows(&desk, &new).await.assert_in(own());
        shows(&desk, &old).await.assert_in(own());
        assert_eq!(publisher.asked(), 2);
    });
}

#[test]
fn a_removed_key_counts_for_max_age_also_when_somebody_leaves() {
    let (old, new) = (key("old"), key("new"));
    let publisher = Publisher::of(jwks(&[&old, &new]));
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        shows(&desk, &old).await.assert_in(own());
        publisher.publish(new.jwks());
        seconds(599).await;
        shows(&desk, &old).await.assert_in(own());
        seconds(2).await;
        shows_and_leaves(&desk, &old).await;
        shows(&desk, &old)
            .await
            .assert_refused(Outcome::Denied, "SF0604");
        shows(&desk, &new).await.assert_in(own());
        assert_eq!(publisher.asked(), 2);
    });
}

#[test]
fn who_waits_for_a_provider_that_hangs_waits_once() {
    let publisher = Publisher::of(rsa().jwks());
    publisher.falls_silent();
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        shows_and_leaves(&desk, rsa()).await;
        seconds(20).await;
        let began = Instant::now();
        shows(&desk, rsa())
            .await
            .assert_refused(Outcome::Failed, "SF0611");
        assert_eq!(began.elapsed(), Duration::from_secs(5), "its own time");
        shows(&desk, rsa())
            .await
            .assert_refused(Outcome::Failed, "SF0611");
        assert_eq!(
            began.elapsed(),
            Duration::from_secs(5),
            "nobody waits again"
        );
        publisher.publish(rsa().jwks());
        seconds(36).await;
        shows(&desk, rsa()).await.assert_in(own());
        assert_eq!(publisher.asked(), 2);
    });
}

/// Panics the first time.
struct Clumsy(AtomicU32, String);

#[async_trait]
impl JwksFetch for Clumsy {
    async fn fetch(&self) -> Result<String, KeyError> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "it fell");
        Ok(self.1.clone())
    }
}

#[test]
fn a_fetch_that_panics_is_one_that_failed() {
    paused(async {
        let keys = Jwks::new(Clumsy(AtomicU32::new(0), rsa().jwks()));
        let tokens = JwtAuthenticator::new(keys, rules()).with_clock(clock(0));
        let desk = Desk::knowing(tokens, 0);
        for _ in 0..2 {
            let went = shows(&desk, rsa()).await;
            went.assert_refused(Outcome::Failed, "SF0611");
            assert!(went.said.contains("it fell"), "{}", went.said);
        }
        seconds(60).await;
        shows(&desk, rsa()).await.assert_in(own());
    });
}

#[test]
fn a_name_that_two_keys_have_is_nobodys() {
    let [one, other] = [(); 2].map(|()| key("same"));
    let alone = key("alone");
    let publisher = Publisher::of(jwks(&[&one, &other, &alone]));
    paused(async {
        let desk = Desk::of_tokens(&publisher, 0);
        for twice in [&one, &other] {
            shows(&desk, twice)
                .await
                .assert_refused(Outcome::Denied, "SF0604");
        }
        shows(&desk, &alone).await.assert_in(own());
    });
}

#[test]
fn what_is_no_set_of_keys_lets_nobody_in() {
    let hundred_and_one = format!(
        r#"{{"keys":[{}]}}"#,
        vec![rsa().jwk().to_string(); 101].join(",")
    );
    let encryption = rsa().jwks().replace("\"sig\"", "\"enc\"");
    let secret =
        r#"{"keys":[{"kty":"oct","kid":"first","alg":"HS256","k":"c2VjcmV0"}]}"#.to_owned();
    let other_way = rsa().jwks().replace("RS256", "ES256");
    for published in [
        hundred_and_one,
        encryption,
        secret,
        other_way,
        "{}".to_owned(),
        "<html>".to_owned(),
    ] {
        let publisher = Publisher::of(published.clone());
        let went = paused(async { shows(&Desk::of_tokens(&publisher, 0), rsa()).await });
        went.assert_refused(Outcome::Failed, "SF0611");
        assert!(
            went.said.contains("SF0612"),
            "the cause is said for {published:.60}: {}",
            went.said
        );
    }
}
