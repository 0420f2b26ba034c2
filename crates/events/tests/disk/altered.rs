//! Whatever is done to a journal, the verifier names the first place at which it is not as it was written.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use proptest::prelude::*;
use stageflow_events::journal::{self, Chain, ChainErrorKind as Kind, Journal, JournalOptions};
use stageflow_testkit::Property;

use crate::changes::{Case, Change, Verdict, Written, Wrong, cases, is_chained};
use crate::journals::{feed, files, wait};

/// What the verifier says of a journal.
fn verdict(written: &Written, dir: &Path) -> Verdict {
    let Err(error) = journal::verify_to(dir, &written.head) else {
        return Verdict::Well;
    };
    let wrong = match error.kind() {
        Kind::Shortened { .. } => {
            assert!(
                journal::verify(dir).is_ok(),
                "nobody can see that from the files alone"
            );
            return Verdict::Short;
        }
        Kind::Altered => Wrong::Altered,
        Kind::BadHeader => Wrong::Header,
        Kind::Forked { .. } => Wrong::Forked,
        Kind::Missing { .. } => Wrong::Missing,
        Kind::Miscounted { .. } => Wrong::Miscounted,
        Kind::Reordered { .. } => Wrong::Reordered,
        Kind::Torn => Wrong::Torn,
        Kind::Unlinked => Wrong::Unlinked,
        other => panic!("{other:?}: {error}"),
    };
    let file = written
        .files
        .iter()
        .position(|(path, _)| path == error.file());
    Verdict::Wrong((file.unwrap(), error.line() as usize - 1), wrong)
}

#[test]
fn the_first_place_that_was_altered_is_named() {
    let property = Property::new("the first place that was altered is named").cases(150);
    property.holds_for(&cases(), |case| {
        let dir = tempfile::tempdir().unwrap();
        let mut written = Written::by(&case, dir.path());
        prop_assert_eq!(verdict(&written, dir.path()), Verdict::Well);

        let mut expected = written.change(&case.change);
        written.write();
        let found = verdict(&written, dir.path());
        // A file's first line may have lost what makes it one, or its link: that is named then.
        if let Verdict::Wrong(at @ (_, 0), Wrong::Altered) = expected
            && found == Verdict::Wrong(at, Wrong::Header)
        {
            expected = Verdict::Wrong(at, Wrong::Header);
        }
        prop_assert_eq!(found, expected);
        Ok(())
    });
}

/// A line without a link can be altered and nobody sees it; but it cannot be taken out, as soon as a file begins behind it.
#[test]
fn lines_without_a_link_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let case = Case {
        kinds: vec!["docs.loaded"; 20],
        chain: Chain::Audit,
        rotate_at: 2_000,
        batch: 1,
        restarts: 1,
        change: Change::Nothing,
    };
    let mut written = Written::by(&case, dir.path());
    let removed = written.files[1].1.remove(2);
    assert!(!is_chained(&removed));
    written.write();
    let error = journal::verify(dir.path()).unwrap_err();
    assert!(matches!(error.kind(), Kind::Miscounted { expected, found } if expected == found + 1));
    assert_eq!(
        (error.file(), error.line()),
        (written.files[2].0.as_path(), 1)
    );
}

/// Where the head is kept elsewhere, a journal that was written anew from the start is not the same.
#[test]
fn another_journal_is_not_this_one() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let case = |kind: &'static str| Case {
        kinds: vec!["stage.started", kind, "stage.ended"],
        chain: Chain::All,
        rotate_at: 100_000,
        batch: 1,
        restarts: 1,
        change: Change::Nothing,
    };
    let real = Written::by(&case("audit.denied"), one.path());
    let false_one = Written::by(&case("audit.granted"), other.path());
    assert_eq!(real.head.n(), false_one.head.n());
    journal::verify(other.path()).unwrap();
    let error = journal::verify_to(other.path(), &real.head).unwrap_err();
    assert_eq!(error.kind(), Kind::Forked { n: 4 });
    assert_eq!(error.code(), "SF0508");
}

/// A head from before everything that the journal itself has deleted.
#[test]
fn what_the_journal_deleted_itself_cannot_be_held_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).max_bytes(NonZeroU64::new(8_000).unwrap());
    let mut journal = Journal::create(options).unwrap();
    wait(feed(&mut journal, &["stage.started"; 3], 1));
    let early = journal.head();
    wait(feed(&mut journal, &["stage.started"; 60], 1));
    journal::verify(dir.path()).unwrap();
    journal::verify_to(dir.path(), &journal.head()).unwrap();
    let error = journal::verify_to(dir.path(), &early).unwrap_err();
    assert!(matches!(error.kind(), Kind::HeadDeleted { first } if first > early.n()));

    // Somebody who deletes one more is found out.
    fs::remove_file(files(dir.path()).remove(0)).unwrap();
    let error = journal::verify(dir.path()).unwrap_err();
    assert!(
        matches!(error.kind(), Kind::Missing { from: 1, .. }),
        "{error}"
    );
}
