//! Sealed bytes come back as they were sealed, as what they were sealed as, or not at all.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use stageflow_context::{
    ContextSnapshot, Message, Migrations, OrgId, RunId, RunIdentity, SealErrorKind as Kind,
    SealKey, SealKeys, Sealed, SealedAs, SeededIds, Tag,
};

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(1, [17; 32]))
}

struct Ids {
    org: OrgId,
    other_org: OrgId,
    run: RunId,
    other_run: RunId,
}

fn ids() -> Ids {
    let ids = SeededIds::new(7);
    Ids {
        org: OrgId::generate(&ids),
        other_org: OrgId::generate(&ids),
        run: RunId::generate(&ids),
        other_run: RunId::generate(&ids),
    }
}

fn place() -> SealedAs {
    let ids = ids();
    SealedAs::new("checkpoint", 3)
        .of_org(ids.org)
        .of_run(ids.run)
}

fn kind(bytes: &[u8], place: &SealedAs) -> Result<Vec<u8>, Kind> {
    let opened = Sealed::from_bytes(bytes).open(&keys(), place);
    opened.map_err(|error| error.kind())
}

/// HMAC as RFC 2104 writes it down, beside the crate that is used.
fn oracle(key: [u8; 32], purpose: &str, parts: &[&[u8]]) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let mut text = b"stageflow".to_vec();
    for part in [purpose.as_bytes()].iter().chain(parts) {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(*part);
    }
    let inner = Sha256::digest([&pad(0x36)[..], &text].concat());
    format!("{:x}", Sha256::digest([&pad(0x5c)[..], &inner].concat()))
}

#[test]
fn a_tag_is_the_hmac_of_its_parts() {
    let tag = keys().tag("test", &[b"one", b"two"]);
    let expected = oracle([17; 32], "test", &[b"one", b"two"]);
    assert_eq!(tag.to_string(), format!("1.{expected}"));
    assert_eq!(tag.to_string().parse::<Tag>().unwrap(), tag);
}

#[test]
fn no_two_lists_of_parts_have_the_same_tag() {
    let lists: [&[&[u8]]; 5] = [
        &[b"onetwo"],
        &[b"one", b"two"],
        &[b"on", b"etwo"],
        &[b"one"],
        &[],
    ];
    for (nth, one) in lists.iter().enumerate() {
        for other in &lists[nth + 1..] {
            assert_ne!(keys().tag("test", one), keys().tag("test", other));
        }
        assert_ne!(keys().tag("test", one), keys().tag("tests", one));
        assert_eq!(
            keys().check("tests", one, &keys().tag("test", one)),
            Some(false)
        );
    }
}

#[test]
fn a_tag_has_one_spelling() {
    let tag = keys().tag("test", &[]).to_string();
    let upper = format!("1.{}", tag[2..].to_uppercase());
    for text in [
        "",
        "1.",
        &tag[2..],
        &format!("01.{}", &tag[2..]),
        &upper,
        &format!("{tag}0"),
    ] {
        assert_eq!(text.parse::<Tag>().unwrap_err().code(), "SF0221", "{text}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let sealed = keys().seal(&place(), b"what was done").into_bytes();
    assert_eq!(kind(&sealed, &place()).unwrap(), b"what was done");
    for at in 0..sealed.len() {
        for flip in 1..=u8::MAX {
            let mut changed = sealed.clone();
            changed[at] ^= flip;
            let refused = kind(&changed, &place()).unwrap_err();
            let expected = [Kind::Altered, Kind::NotSealed, Kind::UnknownKey];
            assert!(expected.contains(&refused), "{refused:?} at {at}, {flip}");
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let sealed = keys().seal(&place(), b"what was done").into_bytes();
    for length in 0..sealed.len() {
        assert!(kind(&sealed[..length], &place()).is_err(), "{length}");
        assert!(
            kind(&sealed[sealed.len() - length..], &place()).is_err(),
            "{length}"
        );
    }
    let longer = [&sealed[..], b"."].concat();
    assert_eq!(kind(&longer, &place()), Err(Kind::Altered));
}

#[test]
fn what_was_sealed_as_something_else_is_refused() {
    let ids = ids();
    let elsewhere = [
        (
            SealedAs::new("snapshot", 3).of_org(ids.org).of_run(ids.run),
            Kind::WrongKind,
        ),
        (place().of_org(ids.other_org), Kind::WrongOrg),
        (place().of_org(None), Kind::WrongOrg),
        (place().of_run(ids.other_run), Kind::WrongRun),
        (place().of_run(None), Kind::WrongRun),
        (
            SealedAs::new("checkpoint", 2)
                .of_org(ids.org)
                .of_run(ids.run),
            Kind::Newer,
        ),
        (
            SealedAs::new("checkpoint", 4)
                .of_org(ids.org)
                .of_run(ids.run),
            Kind::Older,
        ),
    ];
    let sealed = keys().seal(&place(), b"{}");
    for (wanted, expected) in elsewhere {
        assert_eq!(
            kind(sealed.as_bytes(), &wanted),
            Err(expected),
            "{wanted:?}"
        );
        // And the other way round.
        let other = keys().seal(&wanted, b"{}");
        assert!(kind(other.as_bytes(), &place()).is_err(), "{wanted:?}");
    }
}

/// Whoever has no key can still write another id on the first line.
#[test]
fn a_first_line_that_says_something_else_is_no_way_in() {
    let ids = ids();
    let sealed = keys().seal(&place(), b"{}");
    let text = sealed.as_text().unwrap().to_owned();
    let swaps = [
        (
            ids.org.to_string(),
            ids.other_org.to_string(),
            place().of_org(ids.other_org),
        ),
        (
            ids.run.to_string(),
            ids.other_run.to_string(),
            place().of_run(ids.other_run),
        ),
        ("version=3".to_owned(), "version=2".to_owned(), place()),
        ("version=3".to_owned(), "version=4".to_owned(), place()),
    ];
    for (from, to, wanted) in swaps {
        let changed = text.replace(&from, &to);
        assert_ne!(changed, text);
        assert_eq!(
            kind(changed.as_bytes(), &wanted),
            Err(Kind::Altered),
            "{from}"
        );
    }
}

#[test]
fn keys_change_and_old_seals_still_open() {
    let old = SealKey::new(1, [17; 32]);
    let sealed = SealKeys::new(old.clone()).seal(&place(), b"old");
    let rotated = SealKeys::new(SealKey::new(2, [99; 32])).opening(old);
    assert_eq!(sealed.open(&rotated, &place()).unwrap(), b"old");
    assert_eq!(rotated.seal(&place(), b"new").key(), Some(2));

    let only_new = SealKeys::new(SealKey::new(2, [99; 32]));
    let refused = sealed.open(&only_new, &place()).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.code()),
        (Kind::UnknownKey, "SF0223")
    );
    let same_number = SealKeys::new(SealKey::new(1, [99; 32]));
    let refused = sealed.open(&same_number, &place()).unwrap_err();
    assert_eq!(refused.kind(), Kind::Altered);
}

#[test]
fn older_versions_go_step_by_step_or_not_at_all() {
    let first = SealedAs::new("notes", 1);
    let sealed = keys().seal(&first, b"a");
    let add = |byte: u8| {
        move |mut bytes: Vec<u8>| {
            bytes.push(byte);
            Ok(bytes)
        }
    };
    let now = SealedAs::new("notes", 3);
    let both = Migrations::new()
        .from_version(1, add(b'b'))
        .from_version(2, add(b'c'));
    assert_eq!(sealed.open_with(&keys(), &now, &both).unwrap(), b"abc");
    let gap = Migrations::new().from_version(1, add(b'b'));
    let refused = sealed.open_with(&keys(), &now, &gap).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::Older, "SF0225"));
    let fails = Migrations::new().from_version(1, |_| Err("no such field".into()));
    let refused = sealed
        .open_with(&keys(), &SealedAs::new("notes", 2), &fails)
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Older);
    assert!(refused.to_string().contains("no such field"), "{refused}");
}

fn snapshot() -> ContextSnapshot {
    let ids = ids();
    let identity = RunIdentity::new(ids.run).with_org_id(ids.org);
    ContextSnapshot::new(identity).with_message(Message::user("how far is the moon?"))
}

#[test]
fn a_snapshot_comes_back_for_its_org_and_run_only() {
    let ids = ids();
    let sealed = snapshot().seal(&keys()).unwrap();
    let read = ContextSnapshot::from_sealed(&sealed, &keys(), ids.org, ids.run).unwrap();
    assert_eq!(read.digest().unwrap(), snapshot().digest().unwrap());
    let others = [
        (Some(ids.other_org), ids.run, Kind::WrongOrg),
        (None, ids.run, Kind::WrongOrg),
        (Some(ids.org), ids.other_run, Kind::WrongRun),
    ];
    for (org, run, expected) in others {
        let refused = ContextSnapshot::from_sealed(&sealed, &keys(), org, run).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (expected, "SF0224"));
    }
}

/// Sealed by somebody who has the key, with the label of another org on it.
#[test]
fn what_a_snapshot_says_inside_must_be_what_is_on_its_seal() {
    let ids = ids();
    let text = snapshot().to_json().unwrap();
    let label = SealedAs::new("snapshot", 1)
        .of_org(ids.other_org)
        .of_run(ids.run);
    let sealed = keys().seal(&label, text.as_bytes());
    let refused =
        ContextSnapshot::from_sealed(&sealed, &keys(), ids.other_org, ids.run).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::Content, "SF0226"));
}

#[test]
fn the_message_says_what_to_do() {
    let sealed = keys().seal(&place(), b"{}").into_bytes();
    let altered = [&sealed[..], b"."].concat();
    let error = Sealed::from_bytes(altered)
        .open(&keys(), &place())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "SF0222: the sealed checkpoint is not opened: its hash is not the one of its bytes; take it from a copy, and find out \
         who can write where it was kept"
    );
}

#[test]
fn a_key_is_never_written_down() {
    let key = SealKey::new(7, [0xab; 32]);
    let shown = format!("{key:?} {:?}", SealKeys::new(key.clone()));
    assert!(shown.contains("SealKey(7, [redacted])"), "{shown}");
    assert!(!shown.contains("171") && !shown.contains("ab, "), "{shown}");
}

/// Kinds that were one once: cut off at 48 letters, or with `_` in the place of all that is no letter.
#[test]
fn kinds_that_look_alike_are_not_the_same() {
    let long = "k".repeat(100);
    let kinds = [
        "a_b",
        "a-b",
        "a.b",
        "A_b",
        "a b",
        "a%2db",
        "",
        "%",
        "x",
        &long,
        &long[1..],
        &long[..64],
    ];
    for sealed in kinds {
        let bytes = keys().seal(&SealedAs::new(sealed, 1), b"hello");
        for opened in kinds {
            let opens = kind(bytes.as_bytes(), &SealedAs::new(opened, 1));
            match sealed == opened {
                true => assert_eq!(opens.unwrap(), b"hello", "{opened}"),
                false => assert_eq!(opens, Err(Kind::WrongKind), "{sealed} {opened}"),
            }
        }
    }
    assert_eq!(SealedAs::new("a_b", 1).kind(), "a_b");
}

/// Tags of each key, in their order: the first is what is made now.
#[test]
fn what_was_made_with_any_of_the_keys_is_found() {
    let keys = [1, 2, 3].map(|number| SealKey::new(number, [number as u8; 32]));
    let [one, two, three] = keys.clone();
    let all = SealKeys::new(two).opening(one).opening(three);
    let tags = all.tags("p", &[b"a", b"b"]);
    assert_eq!(tags[0], all.tag("p", &[b"a", b"b"]));
    let numbers: Vec<_> = tags.iter().map(Tag::key).collect();
    assert_eq!(numbers, [2, 1, 3]);
    for (tag, key) in tags.iter().zip([&keys[1], &keys[0], &keys[2]]) {
        assert_eq!(*tag, SealKeys::new(key.clone()).tag("p", &[b"a", b"b"]));
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..2000), kind in ".{0,40}", version in any::<u32>()) {
        let place = SealedAs::new(&kind, version);
        let sealed = keys().seal(&place, &bytes);
        prop_assert_eq!(sealed.open(&keys(), &place).unwrap(), bytes);
    }

    #[test]
    fn no_two_texts_are_one_kind(one in ".{0,80}", other in ".{0,80}") {
        let written = |kind: &str| SealedAs::new(kind, 1).kind().to_owned();
        prop_assert_eq!(one == other, written(&one) == written(&other));
        prop_assert!(written(&one).len() <= 90 && !written(&one).contains([' ', '\n', '=']));
    }

    #[test]
    fn any_other_bytes_do_not(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Sealed::from_bytes(bytes).open(&keys(), &place()).is_err());
    }
}
