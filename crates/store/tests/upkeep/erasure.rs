//! After an erasure nothing of the user is left, everything of others is, and both can be shown.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use stageflow_context::{OrgId, RunId, SealKey, SealKeys, SeededIds, SystemIds, UserId};
use stageflow_events::journal::{self, Journal};
use stageflow_events::{Entry, EventRecord, Exporter as _, JournalOptions};
use stageflow_store::{
    AuditAnchor, AuditDraft, AuditTrail, Class, Erasure, ErasureReceipt, ReceiptErrorKind as Wrong,
    Row, Shelf, Store, Write,
};

use crate::new_store;
use crate::support::{everything, keys, org, put, rows, scope, user};

pub(crate) const CANARY: &str = "canary-";

/// What is in a record of a run of theirs: their canary, and more than a page of it.
pub(crate) fn record(org: OrgId, user: UserId, run: RunId, seq: u64) -> EventRecord {
    let value = json!({
        "version": 2, "type": format!("docs.{}", canary(user).replace('-', "_")), "seq": seq,
        "time_us": 1_000_000 + seq, "elapsed_ns": seq, "pipeline": "answer", "run_id": run, "correlation_id": "cor_1",
        "trace_id": "0af7", "span_id": "b7ad", "user_id": user, "org_id": org, "data": { "said": canary(user) },
    });
    serde_json::from_value(value).unwrap()
}

/// Words that are theirs only.
pub(crate) fn canary(user: UserId) -> String {
    format!("{CANARY}{}", &user.as_uuid().simple().to_string()[16..])
}

/// Rows of every class about a user, `each` of them; with the canary in the body.
pub(crate) async fn fill(shelf: &Arc<dyn Shelf>, user: UserId, each: u64) {
    let canary = canary(user);
    for class in Class::ALL {
        if class == Class::Audit {
            continue;
        }
        let mut writes = Vec::new();
        for n in 0..each {
            let run = RunId::generate(&SystemIds::new());
            let body = match class {
                Class::Events => serde_json::to_string(&record(shelf.org(), user, run, n)).unwrap(),
                Class::Runs => json!({ "run": run, "pipeline": canary }).to_string(),
                _ => json!({ "said": canary }).to_string(),
            };
            let row = Row::new(format!("{run}/{n}"), 1_000 + n, body).about(user);
            writes.push(Write::Insert { class, row });
        }
        assert!(shelf.commit(writes).await.unwrap());
    }
    let trail = AuditTrail::new(Arc::clone(shelf), keys());
    let draft = |n| {
        let draft = AuditDraft::new("auth.login").about(user).by(canary.clone());
        draft
            .because(canary.clone())
            .details(json!({ "said": canary, "n": n }))
    };
    trail.append((0..each).map(draft).collect()).await.unwrap();
}

/// How often a user's canary, or their id, is anywhere in what is kept of a tenant.
pub(crate) async fn left(shelf: &dyn Shelf, user: UserId) -> usize {
    let all = everything(shelf).await;
    let id = user.to_string();
    let words = [canary(user), canary(user).replace('-', "_"), id];
    words.iter().map(|word| all.matches(word).count()).sum()
}

fn in_files(folder: &Path, user: UserId) -> usize {
    let words = [
        canary(user),
        canary(user).replace('-', "_"),
        user.to_string(),
    ];
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(path).unwrap();
            let holds = |word: &String| {
                bytes
                    .windows(word.len())
                    .filter(|part| *part == word.as_bytes())
                    .count()
            };
            count += words.iter().map(holds).sum::<usize>();
        }
    }
    count
}

async fn write_journal(folder: &Path, org: OrgId, users: [UserId; 2]) -> journal::JournalHead {
    let mut journal = Journal::create(JournalOptions::new(folder)).unwrap();
    for seq in 0..30 {
        let user = users[usize::try_from(seq % 3).unwrap() / 2];
        let run = RunId::generate(&SystemIds::new());
        let entry = Entry::Record(record(org, user, run, seq).into());
        journal.export(&[entry]).await.unwrap();
    }
    journal.head()
}

#[tokio::test]
async fn nothing_of_the_user_is_left_and_everything_of_others_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = new_store();
    let org = org();
    let shelf = store.open(&scope(org)).await.unwrap();
    let [ada, bob] = [user(), user()];
    for user in [ada, bob] {
        fill(&shelf, user, 450).await;
    }
    let head = write_journal(folder.path(), org, [ada, bob]).await;
    let trail = AuditTrail::new(Arc::clone(&shelf), keys());
    let anchor = trail.head().await.unwrap();
    let before = (left(&*shelf, bob).await, in_files(folder.path(), bob));
    assert!(left(&*shelf, ada).await > 0 && in_files(folder.path(), ada) > 0 && before.0 > 0);

    let erasure = Erasure::new(store.clone(), keys()).journal(folder.path());
    let receipt = erasure.erase(&scope(org), ada).await.unwrap();
    assert_eq!(
        (left(&*shelf, ada).await, in_files(folder.path(), ada)),
        (0, 0)
    );
    assert_eq!(
        (left(&*shelf, bob).await, in_files(folder.path(), bob)),
        before
    );
    for class in Class::ALL {
        assert_eq!(receipt.rows(class), 450, "{}", class.as_str());
    }
    assert_eq!(receipt.journal_records(), 20);

    // What happened is known still, and shown to be as it was.
    let verified = trail.verify_to(&anchor).await.unwrap();
    assert_eq!((verified.entries, verified.erased), (901, 450));
    let found = journal::verify_to(folder.path(), &head).unwrap();
    assert_eq!((found.records, found.erased), (30, 20));
    let entry = trail.entry(901).await.unwrap().unwrap();
    assert_eq!(entry.what, "tenant.user_erased");
    for class in [Class::Events, Class::Runs] {
        assert_eq!(rows(&*shelf, class).await.len(), 900, "tombstones stay");
    }
    erasure.verify(&scope(org), ada, &receipt).await.unwrap();
}

/// Tombstones of events are records still.
#[tokio::test]
async fn who_reads_events_sees_tombstones() {
    let store = new_store();
    let org = org();
    let shelf = store.open(&scope(org)).await.unwrap();
    let ada = user();
    fill(&shelf, ada, 3).await;
    let before = rows(&*shelf, Class::Events).await;
    Erasure::new(store, keys())
        .erase(&scope(org), ada)
        .await
        .unwrap();
    for (row, before) in rows(&*shelf, Class::Events).await.iter().zip(&before) {
        assert_eq!((&row.key, row.at, row.user), (&before.key, before.at, None));
        let read: EventRecord = serde_json::from_str(&row.body).unwrap();
        let was: EventRecord = serde_json::from_str(&before.body).unwrap();
        assert_eq!(read.kind, "telemetry.erased");
        assert_eq!((read.run_id, read.seq), (was.run_id, was.seq));
    }
}

#[tokio::test]
async fn the_same_user_of_another_tenant_is_left_alone() {
    let store = new_store();
    let (one, other) = (org(), org());
    let ada = user();
    let shelves = [
        store.open(&scope(one)).await.unwrap(),
        store.open(&scope(other)).await.unwrap(),
    ];
    for shelf in &shelves {
        fill(shelf, ada, 5).await;
    }
    let before = everything(&*shelves[1]).await;
    Erasure::new(store, keys())
        .erase(&scope(one), ada)
        .await
        .unwrap();
    assert_eq!(left(&*shelves[0], ada).await, 0);
    assert_eq!(everything(&*shelves[1]).await, before);
}

#[tokio::test]
async fn a_second_erasure_finds_nothing_and_says_so() {
    let store = new_store();
    let org = org();
    let ada = user();
    fill(&store.open(&scope(org)).await.unwrap(), ada, 3).await;
    let erasure = Erasure::new(store, keys());
    erasure.erase(&scope(org), ada).await.unwrap();
    let again = erasure.erase(&scope(org), ada).await.unwrap();
    assert!(Class::ALL.iter().all(|class| again.rows(*class) == 0));
    erasure.verify(&scope(org), ada, &again).await.unwrap();
}

#[tokio::test]
async fn a_receipt_holds_for_its_user_and_its_tenant_only() {
    let store = new_store();
    let (one, other, ada, bob) = (org(), org(), user(), user());
    let shelf = store.open(&scope(one)).await.unwrap();
    fill(&shelf, ada, 3).await;
    let erasure = Erasure::new(store.clone(), keys());
    let receipt = erasure.erase(&scope(one), ada).await.unwrap();
    let text = receipt.to_json();
    assert!(
        !text.contains(&ada.to_string()) && !text.contains(&canary(ada)),
        "{text}"
    );
    assert_eq!(text.parse::<ErasureReceipt>().unwrap(), receipt);

    let wrong = async |scope, user, receipt: &ErasureReceipt| {
        let error = erasure.verify(&scope, user, receipt).await.unwrap_err();
        assert_eq!(error.code(), "SF0732");
        error.kind()
    };
    assert_eq!(wrong(scope(one), bob, &receipt).await, Wrong::OtherUser);
    assert_eq!(wrong(scope(other), ada, &receipt).await, Wrong::OtherOrg);
    let changed: ErasureReceipt = text
        .replace("\\\"events\\\":3", "\\\"events\\\":4")
        .parse()
        .unwrap();
    assert_ne!(changed, receipt);
    assert_eq!(wrong(scope(one), ada, &changed).await, Wrong::Altered);
    assert_eq!(
        "{}".parse::<ErasureReceipt>().unwrap_err().kind(),
        Wrong::Unreadable
    );

    // Signed by somebody with another key.
    let forger = Erasure::new(new_store(), SealKeys::new(SealKey::new(7, [1; 32])));
    let forged = forger.erase(&scope(one), ada).await.unwrap();
    assert_eq!(wrong(scope(one), ada, &forged).await, Wrong::Altered);
    // Signed with the key, and never carried out here.
    let elsewhere = Erasure::new(new_store(), keys());
    let claimed = elsewhere.erase(&scope(one), ada).await.unwrap();
    assert_eq!(wrong(scope(one), ada, &claimed).await, Wrong::NotInTrail);
    // The same erasure, as it seems, with other counts.
    let same = |store| Erasure::new(store, keys()).ids(SeededIds::new(5));
    same(store.clone()).erase(&scope(one), ada).await.unwrap();
    let elsewhere = new_store();
    fill(&elsewhere.open(&scope(one)).await.unwrap(), ada, 9).await;
    let claimed = same(elsewhere).erase(&scope(one), ada).await.unwrap();
    assert_eq!(wrong(scope(one), ada, &claimed).await, Wrong::NotInTrail);
}

#[tokio::test]
async fn a_row_that_comes_back_breaks_the_receipt() {
    let store = new_store();
    let (org, ada) = (org(), user());
    let shelf = store.open(&scope(org)).await.unwrap();
    fill(&shelf, ada, 3).await;
    let erasure = Erasure::new(store, keys());
    let receipt = erasure.erase(&scope(org), ada).await.unwrap();
    for class in Class::ALL {
        let row = |at| Row::new("back", at, "{}").about(ada);
        put(&*shelf, class, row(receipt.ended() + 1_000)).await;
        erasure
            .verify(&scope(org), ada, &receipt)
            .await
            .expect("what came later is another matter");
        put(&*shelf, class, row(1)).await;
        let error = erasure
            .verify(&scope(org), ada, &receipt)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Wrong::Left);
        assert!(error.to_string().contains(class.as_str()), "{error}");
        crate::support::delete(&*shelf, class, "back").await;
    }
    assert_ne!(
        AuditTrail::new(shelf, keys()).head().await.unwrap(),
        AuditAnchor::NONE
    );
}
