//! The door itself: who counts, what is told, and what happens when nobody knows.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use stageflow::auth::{
    ApiKey, ApiKeys, AuthError, AuthErrorKind, Authenticate, Authenticator, JwtAuthenticator,
    Lenience, Methods, Principal, StaticKeys, async_trait, user_of,
};
use stageflow::context::{SeededIds, UserId};
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::advance;

use crate::support::{Desk, ISSUER, NOW, Publisher, claims, clock, org, rsa, rules};

const MANY: NonZeroUsize = NonZeroUsize::new(100).unwrap();

fn tokens() -> JwtAuthenticator {
    JwtAuthenticator::new(StaticKeys::jwks(&rsa().jwks()).unwrap(), rules()).with_clock(clock(0))
}

fn bearer(org_number: u128) -> Credentials {
    Credentials::bearer(rsa().token(&claims(org(org_number))))
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_run_that_names_no_org_gets_the_one_that_was_proved() {
    let went = paused(async {
        let desk = Desk::knowing(tokens(), 0);
        desk.run(RunOptions::new().credentials(bearer(1))).await
    });
    went.assert_in(org(1));
}

#[test]
fn a_run_is_for_the_user_that_was_proved_whatever_it_says() {
    let (claimed, real) = (
        "usr_00000000000000000000000000000009",
        "usr_00000000000000000000000000000003",
    );
    let mut says = claims(org(1));
    says["sub"] = json!(real);
    let shown = Credentials::bearer(rsa().token(&says));
    let claimed: UserId = claimed.parse().unwrap();
    paused(async {
        let desk = Desk::knowing(tokens(), 0);
        let went = desk
            .run(RunOptions::new().user(claimed).credentials(shown))
            .await;
        went.assert_in(org(1));
        let users = desk
            .sink
            .all()
            .into_iter()
            .map(|one| one.run.identity().user_id());
        assert!(
            users
                .into_iter()
                .all(|user| user == Some(real.parse().unwrap()))
        );
        // Who says nothing of a user is one all the same, and it is not the one that is claimed.
        let went = desk
            .run(RunOptions::new().user(claimed).credentials(bearer(1)))
            .await;
        went.assert_in(org(1));
        let ada = Some(user_of(ISSUER, "ada"));
        assert!(
            desk.sink
                .all()
                .iter()
                .all(|one| one.run.identity().user_id() == ada)
        );
    });
}

#[test]
fn credentials_count_more_than_what_is_attached() {
    paused(async {
        let desk = Desk::knowing(tokens(), 0);
        let other = Principal::new("mallory", org(2));
        let both = RunOptions::new()
            .attach(other.clone())
            .credentials(bearer(1));
        desk.run(both).await.assert_in(org(1));
        let bad = RunOptions::new()
            .attach(other)
            .credentials(Credentials::bearer("no"));
        desk.run(bad)
            .await
            .assert_refused(Outcome::Denied, "SF0602");
    });
}

#[test]
fn a_principal_that_a_front_end_proved_comes_in_until_it_is_over() {
    paused(async {
        let desk = Desk::knowing(tokens(), 0);
        let who = Principal::new("ada", org(1));
        let went = desk.run(RunOptions::new().attach(who.clone())).await;
        went.assert_in(org(1));
        assert_eq!(went.audits[0].1["method"], "attached");
        let later = RunOptions::new().attach(who.clone().until(at(NOW + 1)));
        desk.run(later).await.assert_in(org(1));
        let over = RunOptions::new().attach(who.clone().until(at(NOW)));
        desk.run(over)
            .await
            .assert_refused(Outcome::Denied, "SF0605");
        let elsewhere = RunOptions::new().org(org(2)).attach(who);
        desk.run(elsewhere)
            .await
            .assert_refused(Outcome::Denied, "SF0610");
    });
}

#[test]
fn keys_and_tokens_at_one_door() {
    paused(async {
        let ids = SeededIds::new(7);
        let (key, other) = (ApiKey::generate(&ids), ApiKey::generate(&ids));
        let keys = ApiKeys::new(MANY).with_clock(clock(0));
        let importer = Principal::new("importer", org(1));
        keys.add(key.seal(importer.clone()).until(at(NOW + 1)))
            .unwrap();
        keys.add(other.seal(importer).until(at(NOW))).unwrap();
        let desk = Desk::knowing(Methods::of(keys.clone()).or(tokens()), 0);

        let run = |shown: Credentials| desk.run(RunOptions::new().org(org(1)).credentials(shown));
        let went = run(key.credentials()).await;
        went.assert_in(org(1));
        assert_eq!(went.audits[0].1["method"], "api_key");
        run(bearer(1)).await.assert_in(org(1));
        run(other.credentials())
            .await
            .assert_refused(Outcome::Denied, "SF0605");
        // A token that is shown as a key is not tried as a token, nor the other way round.
        let Credentials::Bearer(token) = bearer(1) else {
            unreachable!()
        };
        run(Credentials::ApiKey(token))
            .await
            .assert_refused(Outcome::Denied, "SF0602");
        run(Credentials::Bearer(key.reveal()))
            .await
            .assert_refused(Outcome::Denied, "SF0602");

        let whole = key.reveal().into_inner();
        let wrong = format!(
            "{}{}",
            &whole[..whole.len() - 1],
            if whole.ends_with('0') { '1' } else { '0' }
        );
        run(Credentials::api_key(wrong))
            .await
            .assert_refused(Outcome::Denied, "SF0604");
        assert!(keys.revoke(key.id().as_str()));
        let went = run(key.credentials()).await;
        went.assert_refused(Outcome::Denied, "SF0604");
        assert!(!went.said.contains(&whole) && !went.said.contains(&whole[21..]));
    });
}

/// Cannot find out anything.
struct Unreachable;

#[async_trait]
impl Authenticator for Unreachable {
    async fn authenticate(&self, _credentials: &Credentials) -> Result<Principal, AuthError> {
        Err(AuthError::new(
            AuthErrorKind::Undecided,
            "the `directory` does not answer; ask again",
        ))
    }
}

#[test]
fn what_cannot_be_found_out_is_no_denial_and_no_way_in() {
    paused(async {
        let went = Desk::knowing(Unreachable, 0)
            .run(RunOptions::new().org(org(1)).credentials(bearer(1)))
            .await;
        went.assert_refused(Outcome::Failed, "SF0611");
        assert_eq!(went.audits[0].1["reason"], "undecided");
        assert!(went.orgs.iter().all(Option::is_none), "it was not proved");
    });
}

#[test]
fn only_who_is_named_comes_in_when_nobody_knows_and_it_is_told() {
    let door = Authenticate::with(Unreachable).lenience(Lenience::ask(|shown, _| {
        matches!(shown, Credentials::ApiKey(_)).then(|| Principal::new("on-call", org(1)))
    }));
    paused(async {
        let desk = Desk::new(door.with_clock(clock(0)));
        let went = desk
            .run(RunOptions::new().credentials(Credentials::api_key("x")))
            .await;
        went.assert_in(org(1));
        let names: Vec<&str> = went.audits.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["auth.undecided_let_in", "auth.login"]);
        assert_eq!(went.audits[0].1["code"], "SF0611");
        assert_eq!(went.audits[0].1["subject"], "on-call");
        let other = RunOptions::new()
            .org(org(2))
            .credentials(Credentials::api_key("x"));
        desk.run(other)
            .await
            .assert_refused(Outcome::Denied, "SF0610");
        let token = RunOptions::new().credentials(bearer(1));
        desk.run(token)
            .await
            .assert_refused(Outcome::Failed, "SF0611");
    });
}

#[test]
fn who_was_proved_lately_is_remembered_so_long_and_not_longer() {
    paused(async {
        let publisher = Publisher::of(rsa().jwks());
        let keys = stageflow::auth::Jwks::new(publisher.clone())
            .max_age(Duration::from_secs(60))
            .grace(Duration::ZERO)
            .floor(Duration::ZERO);
        let door = JwtAuthenticator::new(keys, rules()).with_clock(clock(0));
        let remember = Lenience::remember(Duration::from_secs(200), NonZeroUsize::MIN);
        let desk = Desk::new(
            Authenticate::with(door)
                .with_clock(clock(0))
                .lenience(remember),
        );
        let run = |shown: &Credentials| desk.run(RunOptions::new().credentials(shown.clone()));
        let (one, two) = (bearer(1), bearer(2));
        run(&two).await.assert_in(org(2));
        run(&one).await.assert_in(org(1));
        publisher.falls_silent();
        advance(Duration::from_secs(100)).await;
        // There is room for one: the one that was proved last.
        run(&two).await.assert_refused(Outcome::Failed, "SF0611");
        let went = run(&one).await;
        went.assert_in(org(1));
        assert_eq!(went.audits[0].0, "auth.undecided_let_in");
        advance(Duration::from_secs(100)).await;
        run(&one).await.assert_refused(Outcome::Failed, "SF0611");
    });
}

#[test]
fn a_run_that_stops_at_the_door_is_told_of_under_no_org() {
    paused(async {
        let publisher = Publisher::default();
        let desk = Desk::of_tokens(&publisher, 0);
        let options = RunOptions::new().org(org(1)).credentials(bearer(1));
        let went = desk.run(options.deadline(Duration::from_secs(1))).await;
        assert_eq!((went.outcome, went.calls), (Outcome::TimedOut, 0));
        assert!(
            went.orgs.iter().all(Option::is_none),
            "it was not proved: {:?}",
            went.orgs
        );
    });
}

#[test]
fn a_front_end_asks_the_same_door() {
    paused(async {
        let door = Arc::new(tokens());
        let who = Authenticate::with(Arc::clone(&door))
            .authenticate(&bearer(1))
            .await
            .unwrap();
        assert_eq!((who.subject(), who.org()), ("ada", org(1)));
        assert!(who.has_role("editor") && who.has_scope("kb:read") && who.has_scope("kb:write"));
        assert_eq!(who.valid_until(), Some(at(NOW + 305)), "with the leeway");
        let error = door
            .authenticate(&Credentials::bearer("no"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::Unreadable);
    });
}
