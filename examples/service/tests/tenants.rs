//! Each tenant has what is its own, and nothing of another's.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Running, Setup, count};
use crate::demo::{ACME, GLOBEX};

/// A word that stands in one tenant's documents and questions only.
const CANARY: &str = "xylophonist";

#[tokio::test]
async fn each_tenant_is_answered_from_its_own_documents() {
    own_documents(&Setup::new().start().await).await;
}

/// Two tenants with documents of the same name; what one of them says is nowhere in what the other is told.
pub(super) async fn own_documents(running: &Running) {
    let acme = format!("# Music\n\nThe {CANARY} plays on the roof every Monday.\n");
    assert_eq!(running.put(ACME, "music.md", &acme).await.status(), 204);
    let globex = "# Music\n\nThe organist plays in the cellar every Friday.\n";
    assert_eq!(running.put(GLOBEX, "music.md", globex).await.status(), 204);

    let ours = running
        .ask(ACME, &format!("Where does the {CANARY} play?"))
        .await;
    assert_eq!(ours["outcome"], "answered", "{ours}");
    assert_eq!(ours["answer"][0]["document"], "music.md");
    assert_eq!(ours["answer"][0]["line"], 3);
    assert!(
        ours["answer"][0]["quote"]
            .as_str()
            .unwrap()
            .contains("on the roof")
    );

    let theirs = running.ask(GLOBEX, "Who plays on Friday?").await;
    assert!(
        theirs["answer"][0]["quote"]
            .as_str()
            .unwrap()
            .contains("organist")
    );
    let theirs = running
        .ask(GLOBEX, "Who plays every Monday on the roof?")
        .await;
    assert_eq!(theirs["outcome"], "unanswerable", "{theirs}");

    let run = ours["run"].as_str().unwrap();
    running.service.settled().await;
    assert_eq!(
        running.get(ACME, &format!("/v1/runs/{run}")).await.status(),
        200
    );
    let sought = running.get(GLOBEX, &format!("/v1/runs/{run}")).await;
    assert_eq!(sought.status(), 404);
    running.service.settled().await;
    for path in ["/v1/documents", "/v1/usage", "/v1/audit"] {
        let told = running.get(GLOBEX, path).await;
        assert_eq!(told.status(), 200, "{path}");
        let told = told.text().await.unwrap();
        assert!(
            !told.contains(CANARY) && !told.contains(ACME.org),
            "{path}: {told}"
        );
    }
    // That somebody looked for it is in their own trail.
    let trail = running.get(GLOBEX, "/v1/audit").await.text().await.unwrap();
    assert!(
        trail.contains("tenant.not_found") && trail.contains(run),
        "{trail}"
    );
}

#[tokio::test]
async fn what_questions_have_used_is_counted_for_whoever_asked() {
    let running = Setup::new().start().await;
    let usage = async |who| -> Value { running.get(who, "/v1/usage").await.json().await.unwrap() };
    for who in [ACME, GLOBEX] {
        running.put(who, "a.md", "The gate opens at ten.").await;
        let told = usage(who).await;
        assert_eq!(
            (&told["tokens"], &told["cost"]),
            (&json!(0), &json!("0.00"))
        );
    }
    running.ask(ACME, "When does the gate open?").await;
    // Five words of the question, and of the document five to read and five to quote.
    assert_eq!(usage(ACME).await["tokens"], 15);
    running.ask(ACME, "When does the gate open?").await;
    assert_eq!(usage(ACME).await["tokens"], 30);
    assert_eq!(usage(GLOBEX).await["tokens"], 0);
}

#[tokio::test]
async fn a_run_is_told_of_to_its_own_tenant_only_and_says_how_it_ended() {
    let running = Setup::new().start().await;
    let refused = running.asking(ACME, "what is it?").send().await.unwrap();
    assert_eq!(refused.status(), 422);
    let refused: Value = refused.json().await.unwrap();
    running.service.settled().await;
    let path = format!("/v1/runs/{}", refused["run"].as_str().unwrap());
    let record: Value = running.get(ACME, &path).await.json().await.unwrap();
    assert_eq!(
        (&record["pipeline"], &record["outcome"]),
        (&json!("ask"), &json!("failed"))
    );
    assert_eq!(running.get(GLOBEX, &path).await.status(), 404);
}

#[tokio::test]
async fn documents_come_and_go() {
    let running = Setup::new().start().await;
    running.put(ACME, "a.md", "The gate opens at nine.").await;
    running.put(ACME, "a.md", "The gate opens at ten.").await;
    let listed: Value = running
        .get(ACME, "/v1/documents")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        listed,
        json!({ "documents": [{ "name": "a.md", "bytes": 22 }] })
    );
    let answer = running.ask(ACME, "When does the gate open?").await;
    assert!(
        answer["answer"][0]["quote"]
            .as_str()
            .unwrap()
            .contains("ten"),
        "{answer}"
    );

    let remove = || running.request(Method::DELETE, "/v1/documents/a.md");
    let remove = || remove().bearer_auth(running.token(ACME)).send();
    assert_eq!(remove().await.unwrap().status(), 204);
    assert_eq!(remove().await.unwrap().status(), 404);
    let answer = running.ask(ACME, "When does the gate open?").await;
    assert_eq!(answer["outcome"], "unanswerable", "{answer}");
}

#[tokio::test]
async fn documents_that_come_at_the_same_time_are_all_there() {
    let running = Setup::new().start().await;
    let names = ["a.md", "b.md", "c.md", "d.md", "e.md", "f.md"];
    let puts = names.map(|name| running.put(ACME, name, "The gate opens at ten."));
    for put in futures_util::future::join_all(puts).await {
        assert_eq!(put.status(), 204);
    }
    let listed: Value = running
        .get(ACME, "/v1/documents")
        .await
        .json()
        .await
        .unwrap();
    let listed = listed["documents"].as_array().unwrap().iter();
    assert!(listed.map(|it| it["name"].as_str().unwrap()).eq(names));
}

#[tokio::test]
async fn a_user_is_erased_with_what_they_asked() {
    let running = Setup::new().start().await;
    running.put(ACME, "a.md", "The gate opens at ten.").await;
    running
        .ask(ACME, &format!("Does the {CANARY} open the gate at ten?"))
        .await;
    running.ask(GLOBEX, "Who opens the gate?").await;
    running.service.settled().await;
    let folder = running.folder();
    assert!(count(&folder, CANARY) > 0);

    let erase = running.request(Method::DELETE, &format!("/v1/users/{}", ACME.user));
    let erased = erase.bearer_auth(running.token(ACME)).send().await.unwrap();
    assert_eq!(erased.status(), 200);
    let receipt = erased.text().await.unwrap();
    assert!(
        receipt.contains("documents") && !receipt.contains(ACME.user),
        "{receipt}"
    );
    assert_eq!(count(&folder, CANARY), 0);
    let answer = running.ask(ACME, "When does the gate open?").await;
    assert_eq!(
        answer["outcome"], "answered",
        "the documents are the tenant's, and stay"
    );
}
