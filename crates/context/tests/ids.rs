//! Ids: their text, what is refused, and where fresh ones come from.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stageflow_context::{
    CorrelationId, IdError, IdErrorKind, IdSource, InteractionId, OrgId, RequestId, RunId,
    SeededIds, SessionId, SpanId, SystemClock, SystemIds, TraceId, UserId, WallClock,
};
use uuid::{Uuid, Variant};

fn kind_of<T: FromStr<Err = IdError> + Debug>(text: &str) -> IdErrorKind {
    text.parse::<T>().unwrap_err().kind()
}

fn survives_its_text<T>(id: &T, prefix: &str)
where
    T: FromStr<Err = IdError> + ToString + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = id.to_string();
    assert!(text.starts_with(prefix), "{text}");
    assert_eq!(text.parse::<T>().unwrap(), *id);
    assert_eq!(format!("{id:?}"), text);
    let json = serde_json::to_string(id).unwrap();
    assert_eq!(json, format!("{text:?}"));
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *id);
}

proptest! {
    #[test]
    fn every_id_survives_its_text(number in 1_u128..) {
        let uuid = Uuid::from_u128(number);
        survives_its_text(&RunId::from_uuid(uuid).unwrap(), "run_");
        survives_its_text(&RequestId::from_uuid(uuid).unwrap(), "req_");
        survives_its_text(&SessionId::from_uuid(uuid).unwrap(), "ses_");
        survives_its_text(&UserId::from_uuid(uuid).unwrap(), "usr_");
        survives_its_text(&OrgId::from_uuid(uuid).unwrap(), "org_");
        survives_its_text(&InteractionId::from_uuid(uuid).unwrap(), "int_");
        survives_its_text(&CorrelationId::from_uuid(uuid).unwrap(), "cor_");
        survives_its_text(&TraceId::from_bytes(number.to_be_bytes()).unwrap(), "");
        survives_its_text(&SpanId::from_bytes((number as u64 | 1).to_be_bytes()).unwrap(), "");
        prop_assert_eq!(RunId::from_uuid(uuid).unwrap().as_uuid(), uuid);
    }

    #[test]
    fn hyphens_are_read_and_not_written(number in 1_u128..) {
        let uuid = Uuid::from_u128(number);
        let id: OrgId = format!("org_{}", uuid.hyphenated()).parse().unwrap();
        prop_assert_eq!(id.to_string(), format!("org_{}", uuid.simple()));
    }

    #[test]
    fn what_is_said_about_any_text_is_short_and_printable(text in any::<String>()) {
        if let Err(error) = text.parse::<RunId>() {
            let said = error.to_string();
            prop_assert!(said.chars().count() < 900, "{}", said);
            prop_assert!(!said.chars().any(char::is_control), "{:?}", said);
            prop_assert_eq!(error.code(), "SF0201");
        }
    }
}

#[test]
fn each_way_to_be_no_id_has_a_kind() {
    let hex = "018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d";
    assert_eq!(
        kind_of::<RunId>(&format!("req_{hex}")),
        IdErrorKind::WrongPrefix
    );
    assert_eq!(
        kind_of::<RunId>(&format!("RUN_{hex}")),
        IdErrorKind::WrongPrefix
    );
    assert_eq!(kind_of::<RunId>(hex), IdErrorKind::MissingPrefix);
    assert_eq!(kind_of::<RunId>(""), IdErrorKind::MissingPrefix);
    assert_eq!(
        kind_of::<RunId>(&format!("run_{}", "0".repeat(32))),
        IdErrorKind::Nil
    );
    assert_eq!(
        kind_of::<RunId>(&format!("run_{}", "g".repeat(32))),
        IdErrorKind::BadHex
    );
    assert_eq!(kind_of::<RunId>("run_"), IdErrorKind::BadHex);
    assert_eq!(
        kind_of::<RunId>(&format!("run_{}", &hex[1..])),
        IdErrorKind::BadHex
    );
    assert_eq!(
        kind_of::<RunId>(&format!("run_{hex}{hex}")),
        IdErrorKind::TooLong
    );
    assert_eq!(
        kind_of::<RunId>(&"x".repeat(10_000_000)),
        IdErrorKind::TooLong
    );
    assert_eq!(
        RunId::from_uuid(Uuid::nil()).unwrap_err().kind(),
        IdErrorKind::Nil
    );
}

#[test]
fn other_ways_to_write_a_uuid_are_refused() {
    let uuid = Uuid::from_u128(7);
    assert!(format!("run_{}", uuid.braced()).parse::<RunId>().is_err());
    assert!(format!("run_{}", uuid.urn()).parse::<RunId>().is_err());
    assert!(format!(" run_{}", uuid.simple()).parse::<RunId>().is_err());
    assert!(format!("run_{} ", uuid.simple()).parse::<RunId>().is_err());
}

#[test]
fn trace_ids_are_exactly_what_w3c_says() {
    assert_eq!(kind_of::<TraceId>(&"0".repeat(32)), IdErrorKind::Nil);
    assert_eq!(kind_of::<TraceId>(&"A".repeat(32)), IdErrorKind::BadHex);
    assert_eq!(kind_of::<TraceId>(&"a".repeat(31)), IdErrorKind::BadHex);
    assert_eq!(kind_of::<TraceId>(&"a".repeat(33)), IdErrorKind::TooLong);
    assert_eq!(
        kind_of::<TraceId>(&format!("+{}", "a".repeat(31))),
        IdErrorKind::BadHex
    );
    assert_eq!(kind_of::<SpanId>(&"0".repeat(16)), IdErrorKind::Nil);
    assert!(TraceId::from_bytes([0; 16]).is_err());
    assert!(SpanId::from_bytes([0; 8]).is_err());
}

#[test]
fn an_error_says_what_was_expected_what_came_and_what_that_is() {
    let error = "org_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d"
        .parse::<UserId>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "SF0201: expected a user id (`usr_` and 32 hex digits), got `org_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d`: \
         that is an org id; check which field it came from"
    );
    assert_eq!(
        "usr_\u{7}\u{1b}[2J".parse::<UserId>().unwrap_err().got(),
        "usr_\\u{7}\\u{1b}[2J"
    );
}

#[test]
fn an_optional_id_takes_no_more_room_than_a_uuid() {
    assert_eq!(size_of::<Option<RunId>>(), 16);
    assert_eq!(size_of::<Option<TraceId>>(), 16);
    assert_eq!(size_of::<Option<SpanId>>(), 8);
}

#[test]
fn ids_pad_like_other_text_in_tables() {
    let id = SpanId::from_bytes([1; 8]).unwrap();
    assert_eq!(format!("{id:<20}|"), "0101010101010101    |");
}

#[derive(Debug)]
struct Constant(Uuid);

impl IdSource for Constant {
    fn next_uuid(&self) -> Uuid {
        self.0
    }
}

#[test]
fn generated_ids_are_version_7_whatever_the_source_gives() {
    for uuid in [Uuid::nil(), Uuid::max(), Uuid::from_u128(42)] {
        let made = RunId::generate(&Constant(uuid)).as_uuid();
        assert_eq!(made.get_version_num(), 7);
        assert_eq!(made.get_variant(), Variant::RFC4122);
    }
    let dynamic: &dyn IdSource = &SystemIds::new();
    assert_eq!(RunId::generate(dynamic).as_uuid().get_version_num(), 7);
}

#[test]
fn a_source_that_is_right_already_is_not_changed() {
    let uuid = SeededIds::new(1).next_uuid();
    assert_eq!(RunId::generate(&Constant(uuid)).as_uuid(), uuid);
}

#[test]
fn seeded_ids_sort_in_the_order_they_were_made() {
    let ids = SeededIds::new(3);
    let made: Vec<RunId> = (0..10_000).map(|_| RunId::generate(&ids)).collect();
    assert!(made.is_sorted_by(|a, b| a < b));
}

#[test]
fn ids_of_the_system_are_all_different_and_carry_the_time() {
    let made: BTreeSet<Uuid> = (0..10_000).map(|_| SystemIds::new().next_uuid()).collect();
    assert_eq!(made.len(), 10_000);
    let now = SystemClock::new()
        .now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let seconds = |id: &Uuid| id.get_timestamp().unwrap().to_unix().0;
    assert!(made.iter().all(|id| seconds(id).abs_diff(now) < 60));
}

#[test]
fn a_seed_gives_the_same_ids_again_and_another_seed_gives_others() {
    let first = |seed| {
        let ids = SeededIds::new(seed);
        (0..100).map(|_| ids.next_uuid()).collect::<Vec<_>>()
    };
    assert_eq!(first(9), first(9));
    assert!(first(9).iter().all(|id| !first(10).contains(id)));
    assert!(
        first(9)
            .iter()
            .all(|id| id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122)
    );
}

#[test]
fn threads_that_share_a_source_never_get_the_same_id() {
    let ids = SeededIds::new(5);
    let made: Vec<Vec<RunId>> = std::thread::scope(|threads| {
        let take = || {
            (0..5_000)
                .map(|_| RunId::generate(&ids))
                .collect::<Vec<_>>()
        };
        let running: Vec<_> = (0..8).map(|_| threads.spawn(take)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let different: BTreeSet<RunId> = made.into_iter().flatten().collect();
    assert_eq!(different.len(), 40_000);
}
