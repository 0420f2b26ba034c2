//! Requests for approval.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_context::{OrgId, StageCx, UserId};
use stageflow_executor::{AtDeadline, Engine, RunOptions, approval};
use stageflow_graph::{Pipeline, stage_fn};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Class, Erasure, MemoryStore, Scan, SeenTenants, Store, StoredApprovals};
use stageflow_testkit::paused;
use tokio::time::sleep;

use crate::support::{erase, keys, org, shelf, user, words};

/// Asks, and is told after a second that nobody has decided.
fn letter() -> Pipeline<String, String> {
    let mut p = Pipeline::builder("letter");
    let words = p.input::<String>();
    let write = stage_fn(async |_: StageCx, words: Arc<String>| Ok((*words).clone()));
    let draft = p.stage("write", write).after(words);
    let gate = approval().deadline(Duration::from_secs(1), AtDeadline::Reject);
    let signed = p.stage("sign", gate).after(draft);
    p.output(signed).build().unwrap()
}

struct Office {
    store: MemoryStore,
    approvals: StoredApprovals,
    engine: Engine,
    org: OrgId,
}

impl Office {
    fn new() -> Self {
        let (store, seen) = (MemoryStore::new(), SeenTenants::new());
        let kept: Arc<dyn Store> = Arc::new(store.clone());
        let approvals = StoredApprovals::new(kept, &seen);
        let desk = approvals.clone();
        let engine = Engine::builder().intercept(seen).approvals(desk).build();
        let org = org();
        Self {
            store,
            approvals,
            engine,
            org,
        }
    }

    async fn ask(&self, user: UserId) {
        let options = RunOptions::new().org(self.org).user(user);
        self.engine.run(&letter(), words(user), options).await;
    }

    /// The rows, and how many there are.
    async fn rows(&self) -> (usize, String) {
        let shelf = shelf(&self.store, self.org).await;
        let rows = shelf.scan(Scan::of(Class::Approvals)).await.unwrap();
        (rows.len(), format!("{rows:?}"))
    }
}

/// What has become of a request is written down later; if it was erased meanwhile, it must not come back.
#[test]
fn a_request_that_was_erased_does_not_come_back_when_its_end_is_written() {
    paused(async {
        let office = Office::new();
        let (ada, bob) = (user(), user());
        // What has become of one is written down when the next is asked.
        office.ask(bob).await;
        office.ask(ada).await;
        let (count, rows) = office.rows().await;
        assert!(count == 2 && rows.contains(&words(ada)), "{rows}");
        let receipt = erase(office.store.clone(), office.org, ada).await.unwrap();
        assert_eq!(receipt.rows(Class::Approvals), 1);
        office.approvals.flush().await.unwrap();
        let (count, rows) = office.rows().await;
        assert!(count == 1 && rows.contains(&words(bob)), "{rows}");
        assert!(!rows.contains(&words(ada)), "{rows}");
        let desk = office.approvals.of(&scope_of(office.org, None)).await;
        let history = desk.unwrap().history(None, 10).await.unwrap();
        assert_eq!(history.len(), 1);
        let holds = Erasure::new(office.store.clone(), keys());
        let scope = scope_of(office.org, None);
        holds.verify(&scope, ada, &receipt).await.unwrap();
    });
}

/// A decision about a request that was erased while its run waits reaches the run, and leaves nothing.
#[test]
fn a_decision_about_what_was_erased_leaves_nothing() {
    paused(async {
        let office = Office::new();
        let ada = user();
        let desk = office.approvals.of(&scope_of(office.org, None)).await;
        let desk = desk.unwrap();
        let person = async {
            let request = loop {
                if let Some(request) = desk.pending(None, 1).await.unwrap().pop() {
                    break request;
                }
                sleep(Duration::from_millis(10)).await;
            };
            assert_eq!(request.payload, json!(words(ada)));
            erase(office.store.clone(), office.org, ada).await.unwrap();
            desk.approve(request.id, "bob").await.unwrap();
        };
        tokio::join!(office.ask(ada), person);
        office.approvals.flush().await.unwrap();
        assert_eq!(office.rows().await.0, 0);
    });
}
