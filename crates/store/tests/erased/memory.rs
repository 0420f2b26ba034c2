//! What a process has in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{OrgId, StageCx, UserId};
use stageflow_executor::{ApprovalDesk, AtDeadline, Engine, RunOptions, approval};
use stageflow_graph::{Pipeline, StageKind, stage_fn};
use stageflow_interceptors::{Cache, ForgetUser as _, IdempotentWork, MemoryIdempotencyStore};
use stageflow_store::conformance::scope_of;
use stageflow_store::{Erasure, MemoryStore};
use stageflow_testkit::{Probe, paused};

use crate::support::{keys, org, under, user, words};

/// `look` may be cached, `pay` is done once a key, `sign` asks and is told after a second that nobody has decided.
fn errand(looks: &Probe, pays: &Probe) -> Pipeline<String, String> {
    let mut p = Pipeline::builder("errand");
    let input = p.input::<String>();
    let counted = |probe: &Probe| {
        let probe = probe.clone();
        stage_fn(move |_: StageCx, words: Arc<String>| {
            probe.enter().done();
            async move { Ok((*words).clone()) }
        })
    };
    let look = p.stage("look", counted(looks)).cached().after(input);
    let pay = p.stage("pay", counted(pays));
    let pay = pay.kind(StageKind::Work).after(look);
    let gate = approval().deadline(Duration::from_secs(1), AtDeadline::Reject);
    let signed = p.stage("sign", gate).after(pay);
    p.output(signed).build().unwrap()
}

#[test]
fn memory_that_was_named_lets_go_of_what_is_theirs_alone() {
    paused(async {
        let cache = Cache::new(NonZeroUsize::new(100).unwrap());
        let (answers, desk) = (MemoryIdempotencyStore::new(), ApprovalDesk::new());
        let engine = Engine::builder()
            .intercept(cache.clone())
            .intercept(IdempotentWork::new(answers.clone()))
            .approvals(desk.clone())
            .build();
        let (looks, pays) = (Probe::new(), Probe::new());
        let pipeline = errand(&looks, &pays);
        let (org, other, ada, bob) = (org(), org(), user(), user());
        let run = async |key: &str, org: OrgId, user: UserId| {
            let options = under(key, org, user);
            engine.run(&pipeline, words(user), options).await;
            (looks.calls(), pays.calls())
        };
        for (key, org, user) in [("a", org, ada), ("b", org, bob), ("c", other, ada)] {
            run(key, org, user).await;
        }
        assert_eq!((cache.stats().entries, answers.len()), (3, 3));
        assert_eq!(desk.history().len(), 3);

        let erasure = Erasure::new(MemoryStore::new(), keys());
        let erasure = erasure.memory(cache.clone()).memory(answers.clone());
        let erasure = erasure.memory(desk.clone());
        let scope = scope_of(org, None);
        let receipt = erasure.erase(&scope, ada).await.unwrap();
        assert_eq!(receipt.in_memory(), 3);
        erasure.verify(&scope, ada, &receipt).await.unwrap();
        assert_eq!((cache.stats().entries, answers.len()), (2, 2));
        let history = desk.history();
        let is_theirs = |request: &stageflow_executor::ApprovalRecord| {
            (request.request.org, request.request.user) == (Some(org), Some(ada))
        };
        assert!(history.len() == 2 && !history.iter().any(is_theirs));

        // What others have left is there; theirs is made anew.
        assert_eq!(run("b", org, bob).await, (3, 3));
        assert_eq!(run("c", other, ada).await, (3, 3));
        assert_eq!(run("a", org, ada).await, (4, 4));
        let again = erasure.erase(&scope, bob).await.unwrap();
        // Both of bob's requests for approval.
        assert_eq!(again.in_memory(), 4);
    });
}

/// A run without an org is nobody's, and not some tenant's.
#[test]
fn runs_without_an_org_are_by_themselves() {
    paused(async {
        let cache = Cache::new(NonZeroUsize::new(100).unwrap()).across_orgs();
        let engine = Engine::builder().intercept(cache.clone()).build();
        let looks = Probe::new();
        let mut p = Pipeline::builder("look");
        let input = p.input::<String>();
        let probe = looks.clone();
        let look = stage_fn(move |_: StageCx, words: Arc<String>| {
            probe.enter().done();
            async move { Ok((*words).clone()) }
        });
        let look = p.stage("look", look).cached().after(input);
        let pipeline = p.output(look).build().unwrap();
        let ada = user();
        let options = RunOptions::new().user(ada);
        engine.run(&pipeline, words(ada), options).await;
        assert_eq!(cache.forget_user(Some(org()), ada), 0);
        assert_eq!(cache.forget_user(None, user()), 0);
        assert_eq!(cache.forget_user(None, ada), 1);
        assert_eq!(cache.stats().entries, 0);
    });
}
