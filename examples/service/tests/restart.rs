//! What is there after the service was stopped and started.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let short = Secrets::load(&path).err().unwrap().to_string();
    assert!(short.contains("has 5 bytes"), "{short}");
    // It may be all that is left of keys that something is kept under.
    assert_eq!(std::fs::read(&path).unwrap(), b"short");
}

#[test]
fn those_who_start_at_once_agree_on_the_secret_and_nobody_sees_half_of_it() {
    const STARTERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..100 {
        let path = folder.path().join(format!("secret-{round}"));
        let start = Barrier::new(STARTERS + 1);
        let ended = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let starters = [(); STARTERS].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    let badge = Secrets::load(&path).map(|secrets| secrets.badge_key());
                    ended.fetch_add(1, Ordering::SeqCst);
                    badge
                })
            });
            start.wait();
            while ended.load(Ordering::SeqCst) < STARTERS {
                if let Ok(file) = File::open(&path) {
                    let seen = file.metadata().unwrap();
                    assert_eq!((seen.len(), seen.mode() & 0o777), (64, 0o600));
                }
            }
            let [first, rest @ ..] = starters.map(|starter| starter.join().unwrap().unwrap());
            assert!(rest.iter().all(|other| *other == first));
        });
    }
    // Nothing was left beside them.
    assert_eq!(folder.path().read_dir().unwrap().count(), 100);
}
