//! What every store must do is noticed where a store does not do it.

#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow_context::{FixedClock, OrgId, SeededIds, WallClock as _};
use stageflow_store::conformance::{self, scope_of};
use stageflow_store::{Class, MemoryStore, Row, Scan, Shelf, Store, StoreError, Write};
use stageflow_tenancy::TenantScope;
use tokio::task::yield_now;

const ROWS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AllOrgsShare,
    AnyVersion,
    AnyUser,
    CutsBodies,
    DropsHalf,
    FoldsKeys,
    ForgetsAfter,
    HalfACommit,
    Nothing,
    OneMore,
    OtherOrder,
    Overwrites,
    PatternPrefix,
    Remembers,
    SwapsInTwoSteps,
    TakesAnything,
}

#[derive(Clone)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
}

#[async_trait::async_trait]
impl Store for Broken {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shared = scope_of(OrgId::generate(&SeededIds::new(1)), None);
        let inner = match self.fault {
            Fault::AllOrgsShare => self.inner.open(&shared).await?,
            _ => self.inner.open(scope).await?,
        };
        let (org, fault) = (scope.org(), self.fault);
        Ok(Arc::new(BrokenShelf { org, inner, fault }))
    }
}

#[derive(Debug)]
struct BrokenShelf {
    org: OrgId,
    inner: Arc<dyn Shelf>,
    fault: Fault,
}

impl BrokenShelf {
    fn change(&self, write: Write) -> Write {
        match (self.fault, write) {
            (Fault::AnyVersion, Write::Swap { class, row, .. })
            | (Fault::Overwrites, Write::Insert { class, row }) => put(class, row),
            (Fault::CutsBodies, Write::Insert { class, mut row }) => {
                let end = row.body.floor_char_boundary(65_536);
                row.body.truncate(end);
                insert(class, row)
            }
            (Fault::FoldsKeys, Write::Insert { class, mut row }) => {
                row.key = row.key.to_lowercase();
                insert(class, row)
            }
            (Fault::TakesAnything, Write::Put { class, mut row }) => {
                row.key.truncate(row.key.floor_char_boundary(255));
                row.key = row.key.replace('\0', "");
                put(class, row)
            }
            (_, write) => write,
        }
    }
}

fn put(class: Class, row: Row) -> Write {
    Write::Put { class, row }
}

fn insert(class: Class, row: Row) -> Write {
    Write::Insert { class, row }
}

#[async_trait::async_trait]
impl Shelf for BrokenShelf {
    fn org(&self) -> OrgId {
        self.org
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        if self.fault == Fault::TakesAnything && writes.len() > Write::MOST {
            return Ok(true);
        }
        let writes: Vec<Write> = writes.into_iter().map(|write| self.change(write)).collect();
        match self.fault {
            Fault::HalfACommit => {
                let mut all_met = true;
                for write in writes {
                    all_met &= self.inner.commit(vec![write]).await?;
                }
                Ok(all_met)
            }
            Fault::DropsHalf if writes.len() > 2 => {
                let mut first = writes;
                let rest = first.split_off(1);
                let met = self.inner.commit(first).await?;
                yield_now().await;
                Ok(met && self.inner.commit(rest).await?)
            }
            Fault::SwapsInTwoSteps => self.swap_in_two_steps(writes).await,
            _ => self.inner.commit(writes).await,
        }
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        match self.fault {
            Fault::FoldsKeys => self.inner.get(class, &key.to_lowercase()).await,
            _ => self.inner.get(class, key).await,
        }
    }

    async fn scan(&self, mut scan: Scan) -> Result<Vec<Row>, StoreError> {
        let asked = scan.clone();
        match self.fault {
            Fault::AnyUser => scan.user = None,
            Fault::ForgetsAfter if scan.prefix == "a" => scan.after = None,
            Fault::OneMore => scan.most = scan.most.saturating_add(1),
            Fault::PatternPrefix => scan.prefix = String::new(),
            _ => {}
        }
        let mut rows = self.inner.scan(scan).await?;
        match self.fault {
            Fault::OtherOrder => rows.sort_by_key(|row| row.key.to_lowercase()),
            // As `LIKE` without an `ESCAPE` has it.
            Fault::PatternPrefix => rows.retain(|row| {
                let mut key = row.key.chars();
                asked
                    .prefix
                    .chars()
                    .all(|wanted| match (wanted, key.next()) {
                        ('_', Some(_)) => true,
                        (wanted, got) => got == Some(wanted),
                    })
            }),
            _ => {}
        }
        Ok(rows)
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.inner.scrub().await
    }
}

impl BrokenShelf {
    async fn swap_in_two_steps(&self, mut writes: Vec<Write>) -> Result<bool, StoreError> {
        for write in &mut writes {
            let Write::Swap { class, row, seen } = write else {
                continue;
            };
            let held = self.inner.get(*class, &row.key).await?;
            if held.is_none_or(|held| held.version != *seen) {
                return Ok(false);
            }
            *write = put(*class, row.clone());
        }
        yield_now().await;
        self.inner.commit(writes).await
    }
}

/// The rules that a store breaks that has this fault.
async fn found(fault: Fault) -> Vec<String> {
    conformance::faults(7, async |clock| {
        let inner = match fault {
            Fault::Remembers => MemoryStore::with(ROWS, FixedClock::new(clock.now())),
            _ => MemoryStore::with(ROWS, clock),
        };
        Broken { inner, fault }
    })
    .await
}

#[tokio::test(flavor = "current_thread")]
async fn every_fault_is_noticed_by_the_rule_it_is_against() {
    let all = [
        (
            Fault::AllOrgsShare,
            "orgs have nothing to do with each other",
        ),
        (Fault::AnyUser, "the rows of a user"),
        (Fault::AnyVersion, "a swap asks for the one that was read"),
        (Fault::CutsBodies, "a body of a megabyte"),
        (Fault::DropsHalf, "a commit that is dropped"),
        (Fault::FoldsKeys, "the order of the bytes"),
        (Fault::ForgetsAfter, "page after page"),
        (Fault::HalfACommit, "wholly, or not at all"),
        (Fault::OneMore, "no more than it is asked for"),
        (Fault::OtherOrder, "the order of the bytes"),
        (Fault::Overwrites, "of those who insert at once"),
        (Fault::Overwrites, "a run that comes back"),
        (Fault::PatternPrefix, "a prefix is a text"),
        (Fault::Remembers, "as if it were not there"),
        (Fault::SwapsInTwoSteps, "of those who swap at once"),
        (Fault::TakesAnything, "what cannot be kept is refused"),
    ];
    for (fault, rule) in all {
        let found = found(fault).await;
        let is_noticed = found.iter().any(|found| found.contains(rule));
        assert!(
            is_noticed,
            "{fault:?} is not noticed by `{rule}`: {found:#?}"
        );
    }
    assert_eq!(found(Fault::Nothing).await, Vec::<String>::new());
}
