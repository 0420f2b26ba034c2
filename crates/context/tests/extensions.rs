//! Extensions: typed, decoded once, kept as they came, and refused when JSON cannot carry them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use stageflow_context::{
    ContextSnapshot, Extension, RunId, RunIdentity, SeededIds, SnapshotErrorKind,
};

fn empty() -> ContextSnapshot {
    ContextSnapshot::new(RunIdentity::new(RunId::generate(&SeededIds::new(1))))
}

macro_rules! extension {
    ($type:ident, $name:literal) => {
        impl Extension for $type {
            const NAME: &'static str = $name;
        }
    };
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: BTreeMap<String, u64>,
}
extension!(Cart, "acme.cart");

fn cart() -> Cart {
    Cart {
        items: [("tea".to_owned(), u64::MAX)].into(),
    }
}

#[test]
fn an_extension_comes_back_as_the_type_it_was() {
    let snapshot = empty().with_extension(&cart()).unwrap();
    let read = ContextSnapshot::from_json(&snapshot.to_json().unwrap()).unwrap();
    assert_eq!(read.extension::<Cart>().unwrap().as_deref(), Some(&cart()));
    assert!(empty().extension::<Cart>().unwrap().is_none());
    assert_eq!(read.extensions().names().collect::<Vec<_>>(), ["acme.cart"]);
    assert!(read.extensions().contains("acme.cart") && read.extensions().len() == 1);
}

#[test]
fn an_extension_replaces_the_one_of_its_name_and_leaves_the_older_snapshot_alone() {
    let first = empty().with_extension(&cart()).unwrap();
    let second = first
        .with_extension(&Cart {
            items: BTreeMap::new(),
        })
        .unwrap();
    assert_eq!(first.extension::<Cart>().unwrap().as_deref(), Some(&cart()));
    assert!(
        second
            .extension::<Cart>()
            .unwrap()
            .unwrap()
            .items
            .is_empty()
    );
}

#[derive(Debug, Serialize)]
struct Counted(u8);
extension!(Counted, "acme.counted");

static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        u8::deserialize(deserializer).map(Self)
    }
}

#[test]
fn an_extension_is_decoded_when_first_asked_for_and_then_shared() {
    let text = empty()
        .with_extension(&Counted(7))
        .unwrap()
        .to_json()
        .unwrap();
    let before = DECODED.load(Ordering::Relaxed);
    let read = ContextSnapshot::from_json(&text).unwrap();
    assert_eq!(DECODED.load(Ordering::Relaxed), before);

    let first = read.extension::<Counted>().unwrap().unwrap();
    let fork = read.fork(RunIdentity::new(RunId::generate(&SeededIds::new(2))));
    let again = fork.extension::<Counted>().unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(DECODED.load(Ordering::Relaxed), before + 1);
}

#[derive(Debug, Serialize)]
struct Raced(u8);
extension!(Raced, "acme.raced");

const RACERS: usize = 4;
static RACING: AtomicBool = AtomicBool::new(false);
static ALL_DECODE: Barrier = Barrier::new(RACERS);

impl<'de> Deserialize<'de> for Raced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if RACING.load(Ordering::Relaxed) {
            ALL_DECODE.wait();
        }
        u8::deserialize(deserializer).map(Self)
    }
}

#[test]
fn those_who_decode_at_the_same_time_get_one_and_the_same() {
    let text = empty()
        .with_extension(&Raced(7))
        .unwrap()
        .to_json()
        .unwrap();
    let read = ContextSnapshot::from_json(&text).unwrap();
    RACING.store(true, Ordering::Relaxed);
    let got: Vec<Arc<Raced>> = std::thread::scope(|threads| {
        let get = || read.extension::<Raced>().unwrap().unwrap();
        let running: Vec<_> = (0..RACERS).map(|_| threads.spawn(get)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(got.iter().all(|one| Arc::ptr_eq(one, &got[0])));
}

#[derive(Serialize, Deserialize)]
struct CartOfVersion2 {
    items: Value,
    #[serde(default)]
    coupon: Option<String>,
}
extension!(CartOfVersion2, "acme.cart");

#[test]
fn two_types_may_read_one_name() {
    let snapshot = empty().with_extension(&cart()).unwrap();
    assert!(
        snapshot
            .extension::<CartOfVersion2>()
            .unwrap()
            .unwrap()
            .coupon
            .is_none()
    );
    assert_eq!(
        snapshot.extension::<Cart>().unwrap().as_deref(),
        Some(&cart())
    );
}

#[test]
fn what_this_program_does_not_know_goes_out_as_it_came_in() {
    let text = include_str!("snapshot.v1.json");
    let read = ContextSnapshot::from_json(text).unwrap();
    let again = ContextSnapshot::from_json(&read.with_topology("t").to_json().unwrap()).unwrap();
    assert_eq!(
        again.extensions().raw("unknown.extension"),
        Some(r#"{ "n" : 1e400, "a":[ ] }"#)
    );
}

#[test]
fn what_cannot_be_decoded_is_named_with_its_type() {
    let error = empty()
        .with_extension(&Other("text".to_owned()))
        .unwrap()
        .extension::<Cart>()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (SnapshotErrorKind::Extension, "SF0207")
    );
    assert_eq!(error.path(), Some("extensions.acme.cart"));
    assert!(
        error
            .to_string()
            .contains("it is not a `extensions::Cart`: invalid type"),
        "{error}"
    );
}

#[derive(Serialize, Deserialize)]
struct Other(String);
extension!(Other, "acme.cart");

// What JSON cannot carry is refused when it is put in, not when another process reads it.

#[derive(Serialize, Deserialize)]
struct Reading(Option<f64>);
extension!(Reading, "acme.reading");

#[test]
fn numbers_that_are_not_finite_are_refused_and_never_become_null() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = empty().with_extension(&Reading(Some(number))).unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (
                SnapshotErrorKind::Extension,
                Some("extensions.acme.reading")
            )
        );
        assert!(error.to_string().contains("not finite"), "{error}");
    }
    assert!(
        empty()
            .with_extension(&Reading(Some(f64::MIN_POSITIVE)))
            .is_ok()
    );
}

#[derive(Serialize, Deserialize)]
struct OneWay(#[serde(serialize_with = "as_text")] u32);
extension!(OneWay, "acme.one-way");

fn as_text<S: serde::Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&number.to_string())
}

#[test]
fn a_type_that_does_not_read_back_what_it_writes_is_refused() {
    let error = empty().with_extension(&OneWay(1)).unwrap_err();
    assert_eq!(error.kind(), SnapshotErrorKind::Extension);
    assert!(
        error
            .to_string()
            .ends_with("make the type read back exactly what it writes"),
        "{error}"
    );
}

#[derive(Serialize, Deserialize)]
struct Lists(BTreeMap<Vec<u8>, u8>);
extension!(Lists, "acme.lists");

#[test]
fn keys_that_are_no_text_are_refused() {
    let error = empty()
        .with_extension(&Lists([(vec![1], 1)].into()))
        .unwrap_err();
    assert_eq!(error.kind(), SnapshotErrorKind::Extension);
}

struct Twice;
extension!(Twice, "acme.twice");

impl Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("a", 1), ("a", 2)])
    }
}

impl<'de> Deserialize<'de> for Twice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[test]
fn a_type_that_writes_a_key_twice_is_refused() {
    let error = empty().with_extension(&Twice).unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (
            SnapshotErrorKind::DuplicateKey,
            Some("extensions.acme.twice")
        )
    );
}

#[derive(Serialize, Deserialize)]
struct Tree {
    below: Vec<Self>,
}
extension!(Tree, "acme.tree");

#[derive(Serialize, Deserialize)]
struct Onion(Option<Box<Self>>);
extension!(Onion, "acme.onion");

#[test]
fn a_type_nested_too_deep_is_refused_before_it_takes_the_stack() {
    let small_stack = std::thread::Builder::new().stack_size(256 * 1024);
    let work = || {
        let mut tree = Tree { below: Vec::new() };
        let mut onion = Onion(None);
        for _ in 0..100_000 {
            tree = Tree { below: vec![tree] };
            onion = Onion(Some(Box::new(onion)));
        }
        assert_eq!(
            empty().with_extension(&tree).unwrap_err().kind(),
            SnapshotErrorKind::TooDeep
        );
        assert_eq!(
            empty().with_extension(&onion).unwrap_err().kind(),
            SnapshotErrorKind::TooDeep
        );
        // Their own destructors are recursive.
        while let Some(below) = tree.below.pop() {
            tree = below;
        }
        while let Some(inside) = onion.0.take() {
            onion = *inside;
        }
    };
    small_stack.spawn(work).unwrap().join().unwrap();
}

#[test]
fn there_is_a_bound_on_the_depth_that_is_exact() {
    let tree = |levels: usize| {
        (1..levels).fold(Tree { below: Vec::new() }, |tree, _| Tree {
            below: vec![tree],
        })
    };
    assert!(empty().with_extension(&tree(32)).is_ok());
    assert_eq!(
        empty().with_extension(&tree(33)).unwrap_err().kind(),
        SnapshotErrorKind::TooDeep
    );
}

// Interior mutability, where the type system cannot refuse it.

#[derive(Serialize, Deserialize)]
struct Tally(AtomicU32);
extension!(Tally, "acme.tally");

#[test]
fn a_change_through_interior_mutability_is_found_and_does_not_reach_the_json() {
    let own = Tally(AtomicU32::new(1));
    let snapshot = empty().with_extension(&own).unwrap();
    own.0.store(2, Ordering::Relaxed);
    let shared = snapshot.extension::<Tally>().unwrap().unwrap();
    assert_eq!(shared.0.load(Ordering::Relaxed), 1);
    assert!(snapshot.extensions().altered().is_empty());

    let digest = snapshot.digest().unwrap();
    shared.0.store(3, Ordering::Relaxed);
    assert_eq!(snapshot.extensions().altered(), ["acme.tally"]);
    assert_eq!(snapshot.digest().unwrap(), digest);
    let read = ContextSnapshot::from_json(&snapshot.to_json().unwrap()).unwrap();
    assert_eq!(
        read.extension::<Tally>()
            .unwrap()
            .unwrap()
            .0
            .load(Ordering::Relaxed),
        1
    );
}
