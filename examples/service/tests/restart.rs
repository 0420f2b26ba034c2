//! What is there after the service was stopped and started.

use super::support::Setup;
use crate::demo::{ACME, GLOBEX};
use crate::secrets::Secrets;

#[tokio::test]
async fn documents_and_the_trail_are_there_after_a_restart_and_old_tokens_are_not() {
    let running = Setup::new().start().await;
    running.put(ACME, "a.md", "The gate opens at ten.").await;
    let old = running.token(ACME);
    let folder = running.stop().await;

    let running = Setup::new().over(folder).start().await;
    let answer = running.ask(ACME, "When does the gate open?").await;
    assert_eq!(answer["outcome"], "answered", "{answer}");
    let other = running.ask(GLOBEX, "When does the gate open?").await;
    assert_eq!(other["outcome"], "unanswerable", "{other}");
    let trail = running.get(ACME, "/v1/audit").await.text().await.unwrap();
    assert!(trail.contains("put-document"), "{trail}");
    let list = running.request(reqwest::Method::GET, "/v1/documents");
    assert_eq!(list.bearer_auth(old).send().await.unwrap().status(), 401);
}

#[test]
fn the_secret_is_made_once_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let badge = || Secrets::load(&path).unwrap().badge_key();
    let first = badge();
    assert!(first == badge());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, "short").unwrap();
    assert!(Secrets::load(&path).is_err());
}
