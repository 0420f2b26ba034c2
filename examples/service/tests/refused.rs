//! What is not done, and how the client is told: the right status, the stable code, and nothing from inside.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use stageflow::auth::{AuthError, AuthErrorKind, Authenticator, Principal};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tier};

use super::support::{Running, Setup};
use crate::demo::{ACME, GLOBEX, Signer};

/// A problem as RFC 9457 has it, with this status.
async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    let detail = body["detail"].as_str().unwrap();
    for inside in ["SF0", "stage `", "pipeline `", "org_", "layer", "admission"] {
        assert!(!detail.contains(inside), "{detail}");
    }
    body
}

async fn list_as(running: &Running, authorization: &str) -> Response {
    let request = running.request(Method::GET, "/v1/documents");
    let request = request.header("authorization", authorization);
    request.send().await.unwrap()
}

#[tokio::test]
async fn whoever_is_not_proved_is_told_how_to_be() {
    let running = Setup::new().start().await;
    let nobody = running
        .request(Method::GET, "/v1/documents")
        .send()
        .await
        .unwrap();
    assert_eq!(
        nobody.headers()["www-authenticate"],
        "Bearer realm=\"stageflow\""
    );
    assert_eq!(problem(nobody, 401).await["code"], "SF0601");

    let stranger = Signer::new().unwrap().token(ACME);
    let old = json!({ "org_id": ACME.org, "sub": ACME.user, "exp": 1_700_000_000 });
    let own = running.signer();
    let expired = own.sign(old, Duration::ZERO);
    let no_org = own.sign(json!({ "sub": ACME.user }), Duration::from_secs(60));
    for (shown, code) in [
        ("Basic YTpi".to_owned(), "SF0602"),
        ("Bearer nonsense".to_owned(), "SF0602"),
        (format!("Bearer {stranger}"), "SF0604"),
        (format!("Bearer {expired}"), "SF0605"),
        (format!("Bearer {no_org}"), "SF0609"),
    ] {
        let refused = list_as(&running, &shown).await;
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert_eq!(problem(refused, 401).await["code"], code);
    }
}

#[tokio::test]
async fn whoever_may_not_is_told_so_and_it_is_audited() {
    let running = Setup::new().start().await;
    let reader = running.token_for(ACME, "kb:read");
    let upload = running
        .request(Method::PUT, "/v1/documents/a.md")
        .body("text");
    let refused = upload.bearer_auth(&reader).send().await.unwrap();
    assert_eq!(problem(refused, 403).await["code"], "SF0621");
    let writer = running.token_for(ACME, "kb:write");
    for path in ["/v1/ask", "/v1/ask/stream"] {
        let ask = running.request(Method::POST, path);
        let ask = ask.json(&json!({ "question": "When does the gate open?" }));
        let refused = ask.bearer_auth(&writer).send().await.unwrap();
        assert_eq!(problem(refused, 403).await["code"], "SF0621");
    }
    let erase = format!("/v1/users/{}", GLOBEX.user);
    for (method, path) in [
        (Method::GET, "/v1/audit"),
        (Method::GET, "/v1/usage"),
        (Method::DELETE, &*erase),
    ] {
        let request = running.request(method, path).bearer_auth(&reader);
        problem(request.send().await.unwrap(), 403).await;
    }
    running.service.settled().await;
    let trail = running.get(ACME, "/v1/audit").await.text().await.unwrap();
    let denied = trail
        .lines()
        .filter(|line| line.contains(r#""decision":"denied""#));
    assert_eq!(denied.count(), 6, "{trail}");
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_so() {
    let running = Setup::new().start().await;
    let long = "x".repeat((1 << 20) + 1);
    problem(running.put(ACME, "a.md", &long).await, 413).await;
    problem(running.asking(ACME, &long).send().await.unwrap(), 413).await;
    for name in ["a.exe", "a%2Fb.md", "a%20b.md", &"a".repeat(101)] {
        problem(running.put(ACME, name, "text").await, 422).await;
    }
    problem(running.put(ACME, "a.md", " \n").await, 422).await;
    let upload = running.request(Method::PUT, "/v1/documents/a.md");
    let upload = upload.body(vec![0xff]).bearer_auth(running.token(ACME));
    problem(upload.send().await.unwrap(), 422).await;

    for (question, why) in [
        ("", "is empty"),
        ("what is it?", "only words"),
        ("\u{7}?", "control"),
    ] {
        let refused = running.asking(ACME, question).send().await.unwrap();
        let refused = problem(refused, 422).await;
        assert!(
            refused["detail"].as_str().unwrap().contains(why),
            "{refused}"
        );
    }
    let ask = || {
        running
            .request(Method::POST, "/v1/ask")
            .bearer_auth(running.token(ACME))
    };
    let other = ask().json(&json!({ "query": "?" }));
    problem(other.send().await.unwrap(), 422).await;
    problem(ask().body("?").send().await.unwrap(), 415).await;
    let broken = ask().header("content-type", "application/json").body("{");
    problem(broken.send().await.unwrap(), 400).await;

    for path in ["/", "/v1", "/v1/runs/nothing", "/v1/runs/run_0", "/v2/ask"] {
        problem(running.get(ACME, path).await, 404).await;
    }
    problem(running.get(ACME, "/v1/ask").await, 405).await;
    assert_eq!(running.get(ACME, "/healthz").await.status(), 200);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_ask_again() {
    const ONE: NonZeroU32 = NonZeroU32::MIN;
    let once = Quota::new().runs_per_second(ONE).no_queue();
    let tiers = [Tier::new("pro").quota(once), Tier::new("free")];
    let running = Setup::new().tiers(tiers).start().await;
    assert_eq!(running.get(ACME, "/v1/documents").await.status(), 200);
    for streams in ["/v1/ask", "/v1/ask/stream"] {
        let ask = running.request(Method::POST, streams);
        let ask = ask.json(&json!({ "question": "When does the gate open?" }));
        let busy = ask.bearer_auth(running.token(ACME)).send().await.unwrap();
        let wait = busy.headers()["retry-after"].to_str().unwrap();
        assert_eq!(wait, "1");
        problem(busy, 429).await;
    }
    // It is nobody else's trouble.
    assert_eq!(running.get(GLOBEX, "/v1/documents").await.status(), 200);
}

#[tokio::test]
async fn whoever_has_used_up_their_tokens_is_told_when_there_are_more() {
    let few = Quota::new()
        .tokens(NonZeroU64::MIN)
        .every(Duration::from_secs(3600));
    let tiers = [Tier::new("pro").quota(few), Tier::new("free")];
    let running = Setup::new().tiers(tiers).start().await;
    assert_eq!(
        running
            .put(ACME, "a.md", "The gate opens at ten.")
            .await
            .status(),
        204
    );
    let answer = running.ask(ACME, "When does the gate open?").await;
    assert_eq!(answer["outcome"], "answered", "{answer}");
    let ask = running.asking(ACME, "When does the gate open?");
    let busy = ask.send().await.unwrap();
    let wait: u64 = busy.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(problem(busy, 429).await["code"], "SF0658");
    running.put(GLOBEX, "a.md", "The gate opens at ten.").await;
    assert_eq!(
        running.ask(GLOBEX, "When does the gate open?").await["outcome"],
        "answered"
    );
}

#[tokio::test]
async fn whoever_is_suspended_may_do_nothing() {
    let running = Setup::new().start().await;
    running.tenants.suspend(ACME.org.parse().unwrap()).unwrap();
    problem(running.get(ACME, "/v1/documents").await, 403).await;
    assert_eq!(running.get(GLOBEX, "/v1/documents").await.status(), 200);
}

/// Stands for an identity provider that does not answer.
struct Silent;

#[async_trait]
impl Authenticator for Silent {
    async fn authenticate(&self, _: &Credentials) -> Result<Principal, AuthError> {
        let detail = "`http://id.internal/keys` does not answer";
        Err(AuthError::new(AuthErrorKind::Undecided, detail))
    }
}

#[tokio::test]
async fn what_cannot_be_found_out_is_not_allowed() {
    let running = Setup::new().authenticator(Silent).start().await;
    let undecided = running.get(ACME, "/v1/documents").await;
    assert_eq!(undecided.headers()["retry-after"], "5");
    assert_eq!(problem(undecided, 503).await["code"], "SF0611");
}

#[tokio::test]
async fn a_database_that_is_gone_is_nobodys_fault() {
    let running = Setup::new().start().await;
    running.service.close_database().await;
    let gone = running.put(ACME, "a.md", "text").await;
    assert_eq!(gone.headers()["retry-after"], "5");
    assert_eq!(problem(gone, 503).await["code"], "SF0711");
}
