//! What the tests have in common.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use stageflow_context::{
    ContextSnapshot, IdSource as _, OrgId, RunId, RunIdentity, SystemIds, UserId, WallClock,
};
use stageflow_events::RunHeader;
use stageflow_tenancy::TenantScope;

use crate::{Class, Row, Shelf, Store, StoreError, Write};

/// What was found: nothing, or what is wrong.
pub(super) type Found = Result<(), String>;

/// A clock that goes on when it is told to. A clone is the same clock.
#[derive(Clone, Debug)]
pub struct HandClock(Arc<AtomicU64>);

impl HandClock {
    /// A clock that stands somewhere in the year 2020.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_600_000_000_000)))
    }

    /// In milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Goes on by so many milliseconds.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for HandClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WallClock for HandClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.millis())
    }
}

/// A scope of this org and user, as the envelope of a run would give it: for tests of stores.
///
/// # Panics
///
/// Never: such a run is for somebody.
#[must_use]
#[expect(clippy::expect_used, reason = "the header has an org")]
pub fn scope_of(org: OrgId, user: Option<UserId>) -> TenantScope {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()))
        .with_org_id(org)
        .with_user_id(user);
    let context = ContextSnapshot::new(identity);
    let header = RunHeader::by_hand(
        context,
        "conformance".into(),
        [].into(),
        SystemTime::UNIX_EPOCH,
    );
    TenantScope::of_header(&header).expect("a run with an org")
}

/// Somewhere new each time.
pub(super) fn seed() -> u64 {
    SystemIds::new().next_uuid().as_u64_pair().1
}

/// A store, and what is needed to try it.
pub(super) struct Bench<S> {
    pub(super) store: S,
    pub(super) clock: HandClock,
    pub(super) seed: u64,
}

impl<S: Store> Bench<S> {
    pub(super) fn new(store: S, clock: HandClock, seed: u64) -> Self {
        Self { store, clock, seed }
    }

    /// The shelf of an org that nobody has used before.
    pub(super) async fn shelf(&self) -> Result<Arc<dyn Shelf>, String> {
        self.shelf_of(OrgId::generate(&SystemIds::new())).await
    }

    pub(super) async fn shelf_of(&self, org: OrgId) -> Result<Arc<dyn Shelf>, String> {
        self.store.open(&scope_of(org, None)).await.map_err(text)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub(super) fn text(error: StoreError) -> String {
    format!("the store failed: {error:?}")
}

pub(super) fn expect<T: fmt::Debug + PartialEq>(what: &str, got: &T, right: &T) -> Found {
    match got == right {
        true => Ok(()),
        false => Err(format!("{what}: {got:?} where {right:?} is right")),
    }
}

pub(super) fn user() -> UserId {
    UserId::generate(&SystemIds::new())
}

pub(super) fn insert(class: Class, row: &Row) -> Write {
    let row = row.clone();
    Write::Insert { class, row }
}

pub(super) fn put(class: Class, row: &Row) -> Write {
    let row = row.clone();
    Write::Put { class, row }
}

pub(super) fn swap(class: Class, row: &Row, seen: u64) -> Write {
    let row = row.clone();
    Write::Swap { class, row, seen }
}

pub(super) fn delete(class: Class, key: &str) -> Write {
    let key = key.to_owned();
    Write::Delete { class, key }
}

/// A commit that must come to this.
pub(super) async fn commits(shelf: &dyn Shelf, writes: Vec<Write>, right: bool) -> Found {
    let what = format!("{writes:.200?}");
    let got = shelf.commit(writes).await.map_err(text)?;
    expect(&what, &got, &right)
}

/// What is under a key, which must be this: a body and a version.
pub(super) async fn holds(
    shelf: &dyn Shelf,
    class: Class,
    key: &str,
    right: Option<(&str, u64)>,
) -> Found {
    let row = shelf.get(class, key).await.map_err(text)?;
    let got = row.as_ref().map(|row| (&*row.body, row.version));
    expect(&format!("the row under {key:?}"), &got, &right)
}

pub(super) fn keys(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| &*row.key).collect()
}

/// Random numbers: `SplitMix64`.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below this one.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }

    /// One of these.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(all.len() as u64);
        all.get(usize::try_from(place).ok()?)
    }
}
