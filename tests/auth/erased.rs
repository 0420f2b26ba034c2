//! Whoever was let in can be erased, also if nobody's UUID is the name they are called by.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::auth::{
    ApiKey, ApiKeys, Authenticate, Authenticator, JwtAuthenticator, Methods, Principal, StaticKeys,
    user_of,
};
use stageflow::context::{OrgId, SealKey, SealKeys, SystemIds, UserId};
use stageflow::events::{EventSink as _, FanOut, JournalOptions, Stopping, journal::Journal};
use stageflow::prelude::*;
use stageflow::tenancy::{TenantScope, Tenants, Tier};
use stageflow_store::{
    AuditSink, Class, Erasure, Scan, Shelf, SqliteOptions, SqliteStore, Store as _, StoreSink,
};
use tempfile::TempDir;

use crate::support::{ISSUER, claims, clock, org, rsa, rules};

/// A tenant's house, in files, and an engine that keeps everything there.
struct House {
    folder: TempDir,
    store: SqliteStore,
    engine: Engine,
    kept: StoreSink,
    trail: AuditSink,
    scope: TenantScope,
}

fn seals() -> SealKeys {
    SealKeys::new(SealKey::new(1, [17; 32]))
}

impl House {
    fn new(own: OrgId, door: impl Authenticator) -> Self {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path().join("store"), SqliteOptions::new()).unwrap();
        let operator = Journal::create(JournalOptions::new(folder.path().join("operator")));
        let kept = StoreSink::start(Arc::new(store.clone()));
        let trail = AuditSink::start(Arc::new(store.clone()), seals(), operator.unwrap());
        let sinks = FanOut::new()
            .to("store", kept.clone())
            .to("trail", trail.clone());
        let tier = Tenants::builder().tier(Tier::new("free"));
        let tenants = tier.tenant(own, "free").build().unwrap();
        let door = Authenticate::with(door).with_clock(clock(0));
        Self {
            engine: Engine::builder().events(sinks).admit(door).build(),
            scope: tenants.enter(own).unwrap(),
            folder,
            store,
            kept,
            trail,
        }
    }

    /// A stage of it tells something, which names who asks.
    async fn run(&self, options: RunOptions) -> Outcome {
        let mut p = Pipeline::builder("read");
        let n = p.input::<u32>();
        let read = stage_fn(async |cx: StageCx, n: Arc<u32>| {
            cx.try_emit("audit.viewed", json!({ "page": *n }))?;
            Ok::<_, Stop>(*n)
        });
        let read = p.stage("read", read).after(n);
        let pipeline = p.output(read).build().unwrap();
        self.engine.run(&pipeline, 7, options).await.outcome()
    }

    async fn drain(&self) {
        let patience = Duration::from_secs(30);
        self.kept.close(Stopping::Drain, patience).await;
        self.trail.close(Stopping::Drain, patience).await;
        assert_eq!(self.kept.counts().dropped + self.trail.counts().dropped, 0);
    }

    /// How often these words are in rows of a class.
    async fn in_rows(&self, class: Class, words: &str) -> usize {
        let shelf: Arc<dyn Shelf> = self.store.open(&self.scope).await.unwrap();
        let rows = shelf.scan(Scan::of(class).most(Scan::MOST)).await.unwrap();
        let found = rows
            .iter()
            .map(|row| row.body.matches(words).count() + row.key.matches(words).count());
        found.sum()
    }

    async fn in_all_rows(&self, words: &str) -> usize {
        let mut all = 0;
        for class in Class::ALL {
            all += self.in_rows(class, words).await;
        }
        all
    }

    async fn erase(&self, user: UserId) {
        let erasure = Erasure::new(self.store.clone(), seals());
        let erasure = erasure.journal(self.folder.path().join("operator"));
        let receipt = erasure.erase(&self.scope, user).await.unwrap();
        erasure.verify(&self.scope, user, &receipt).await.unwrap();
    }
}

/// How often these words are in files below this folder.
fn in_files(folder: &Path, words: &str) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let count = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => in_files(&entry.path(), words),
        false => {
            let bytes = fs::read(entry.path()).unwrap();
            let is_there = |window: &&[u8]| *window == words.as_bytes();
            bytes.windows(words.len()).filter(is_there).count()
        }
    });
    count.sum()
}

fn tokens() -> JwtAuthenticator {
    JwtAuthenticator::new(StaticKeys::jwks(&rsa().jwks()).unwrap(), rules()).with_clock(clock(0))
}

fn token_of(subject: &str) -> RunOptions {
    let mut says = claims(org(1));
    says["sub"] = json!(subject);
    RunOptions::new().credentials(Credentials::bearer(rsa().token(&says)))
}

/// Lets both in, and one is turned away from another org; then one is erased, and the other one is as before.
async fn assert_erased(house: &House, gone: (RunOptions, &str, UserId), stays: (RunOptions, &str)) {
    let (of_gone, gone, user) = gone;
    for options in [&of_gone, &stays.0] {
        assert_eq!(house.run(options.clone()).await, Outcome::Succeeded);
        let elsewhere = options.clone().org(org(2));
        assert_eq!(house.run(elsewhere).await, Outcome::Denied);
    }
    house.drain().await;
    for class in [Class::Audit, Class::Events] {
        assert_ne!(house.in_rows(class, gone).await, 0, "{class:?}");
    }
    let neighbours = house.in_all_rows(stays.1).await;

    house.erase(user).await;
    assert_eq!(house.in_all_rows(gone).await, 0, "rows name {gone}");
    assert_eq!(house.in_all_rows(stays.1).await, neighbours);
    house.store.close().await;
    assert_eq!(in_files(house.folder.path(), gone), 0, "files name {gone}");
    assert_ne!(in_files(house.folder.path(), stays.1), 0);
}

#[tokio::test]
async fn of_a_subject_that_is_no_uuid_nothing_is_left() {
    for subject in ["auth0|canary-ada", "canary-ada@example.org"] {
        let house = House::new(org(1), tokens());
        let user = user_of(ISSUER, subject);
        let gone = (token_of(subject), subject, user);
        Box::pin(assert_erased(
            &house,
            gone,
            (token_of("auth0|eve"), "auth0|eve"),
        ))
        .await;
    }
}

#[tokio::test]
async fn of_the_name_of_a_key_nothing_is_left() {
    let ids = SystemIds::new();
    let keys = ApiKeys::new(NonZeroUsize::MIN.saturating_add(9)).with_clock(clock(0));
    let shown = ["canary-ada's laptop", "eve's laptop"].map(|name| {
        let key = ApiKey::generate(&ids);
        keys.add(key.seal(Principal::new(name, org(1)))).unwrap();
        (RunOptions::new().credentials(key.credentials()), name)
    });
    let house = House::new(org(1), Methods::of(keys).or(tokens()));
    let [(options, name), stays] = shown;
    Box::pin(assert_erased(
        &house,
        (options, name, user_of(None, name)),
        stays,
    ))
    .await;
}

#[tokio::test]
async fn of_whom_a_front_end_has_proved_nothing_is_left() {
    let house = House::new(org(1), tokens());
    let who = |subject: &str| {
        let who = Principal::new(subject, org(1));
        RunOptions::new().attach(who.vouched_for_by("the front end"))
    };
    let user = user_of("the front end", "canary-ada");
    let gone = (who("canary-ada"), "canary-ada", user);
    Box::pin(assert_erased(
        &house,
        gone,
        (who("bob-next-door"), "bob-next-door"),
    ))
    .await;
}

/// Also for those who ask an authenticator themselves.
#[tokio::test]
async fn only_whoever_is_no_user_is_made_one() {
    let shown = Credentials::bearer(rsa().token(&claims(org(1))));
    let who = tokens().authenticate(&shown).await.unwrap();
    assert_eq!(who.user(), Some(user_of(ISSUER, "ada")));

    let (ids, keys) = (SystemIds::new(), ApiKeys::new(NonZeroUsize::MIN));
    let keys = keys.with_clock(clock(0));
    let ada: UserId = "usr_00000000000000000000000000000003".parse().unwrap();
    let who = Principal::new("ada", org(1));
    for (who, is) in [
        (who.clone(), user_of(None, "ada")),
        (who.clone().vouched_for_by(ISSUER), user_of(ISSUER, "ada")),
        (who.with_user(ada), ada),
    ] {
        let key = ApiKey::generate(&ids);
        keys.add(key.seal(who)).unwrap();
        let who = keys.authenticate(&key.credentials()).await.unwrap();
        assert_eq!(who.user(), Some(is));
        assert!(keys.revoke(key.id().as_str()));
    }
}
