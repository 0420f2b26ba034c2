//! Whatever is done to a journal, the verifier names the first place at which it is not as it was written.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use sha2::Digest as _;
use stageflow_events::journal::{
    self, Chain, ChainErrorKind as Kind, Journal, JournalHead, JournalOptions,
};
use stageflow_testkit::Property;

use crate::journals::{feed, files, lines, wait};

const KINDS: [&str; 4] = [
    "stage.started",
    "docs.loaded",
    "audit.viewed",
    "stage.ended",
];

/// Something that is done to a chained line, or to a file.
#[derive(Clone, Debug)]
enum Change {
    /// Nothing.
    Nothing,
    /// A byte of the line is another one.
    Flip(Index, Index, u8),
    /// The line is gone.
    Delete(Index),
    /// It has changed places with another one.
    Swap(Index, Index),
    /// It stands a second time, behind this one or a later one.
    Repeat(Index, Index),
    /// The file ends at some byte.
    Truncate(Index, Index),
    /// The file ends after some line.
    Cut(Index, Index),
    /// A number in it is another one.
    Edit(Index),
    /// The same, and its own hash fits again.
    Rewrite(Index),
    /// The file is gone.
    Remove(Index),
}

/// How a journal is written, and what is done to it then.
#[derive(Clone, Debug)]
struct Case {
    kinds: Vec<&'static str>,
    chain: Chain,
    rotate_at: u64,
    batch: usize,
    restarts: usize,
    change: Change,
}

fn cases() -> impl Strategy<Value = Case> {
    let any = any::<Index>;
    let change = prop_oneof![
        1 => Just(Change::Nothing),
        6 => (any(), any(), 1_u8..=255).prop_map(|(line, byte, to)| Change::Flip(line, byte, to)),
        2 => any().prop_map(Change::Delete),
        2 => (any(), any()).prop_map(|(one, other)| Change::Swap(one, other)),
        2 => (any(), any()).prop_map(|(one, behind)| Change::Repeat(one, behind)),
        2 => (any(), any()).prop_map(|(file, byte)| Change::Truncate(file, byte)),
        2 => (any(), any()).prop_map(|(file, line)| Change::Cut(file, line)),
        1 => any().prop_map(Change::Edit),
        1 => any().prop_map(Change::Rewrite),
        1 => any().prop_map(Change::Remove),
    ];
    let kinds = prop::collection::vec(prop::sample::select(&KINDS[..]), 1..40);
    let chain = prop_oneof![Just(Chain::All), Just(Chain::Audit)];
    (
        kinds,
        chain,
        1_000_u64..12_000,
        1_usize..6,
        1_usize..3,
        change,
    )
        .prop_map(|(kinds, chain, rotate_at, batch, restarts, change)| Case {
            kinds,
            chain,
            rotate_at,
            batch,
            restarts,
            change,
        })
}

/// A journal as lines, which are known by file and number.
struct Written {
    files: Vec<(PathBuf, Vec<Vec<u8>>)>,
    head: JournalHead,
}

/// A place, from 0.
type At = (usize, usize);

/// What the verifier should say: all is well, or this is wrong here.
#[derive(Debug, PartialEq)]
enum Verdict {
    Well,
    /// Nothing to see, but the journal has not come as far as it had.
    Short,
    Wrong(At, Wrong),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Altered,
    Header,
    Forked,
    Missing,
    Miscounted,
    Reordered,
    Torn,
    Unlinked,
}

impl Written {
    fn by(case: &Case, dir: &Path) -> Self {
        let rotate_at = NonZeroU64::new(case.rotate_at).unwrap();
        let options = JournalOptions::new(dir)
            .rotate_at(rotate_at)
            .chain(case.chain);
        let mut head = JournalHead::NONE;
        for _ in 0..case.restarts {
            let mut journal = Journal::create(options.clone()).unwrap();
            wait(feed(&mut journal, &case.kinds, case.batch));
            head = journal.head();
        }
        let files = files(dir).into_iter();
        Self {
            files: files.map(|file| (file.clone(), lines(&file))).collect(),
            head,
        }
    }

    /// The chained lines, in order.
    fn chained(&self) -> Vec<At> {
        let all = (0..self.files.len()).flat_map(|file| {
            let lines = 0..self.files[file].1.len();
            lines.map(move |line| (file, line))
        });
        all.filter(|at| is_chained(self.line(*at))).collect()
    }

    fn line(&self, (file, line): At) -> &Vec<u8> {
        &self.files[file].1[line]
    }

    fn line_mut(&mut self, (file, line): At) -> &mut Vec<u8> {
        &mut self.files[file].1[line]
    }

    fn write(&self) {
        for (file, lines) in &self.files {
            fs::write(file, lines.concat()).unwrap();
        }
    }

    /// Does it, and says what should come of it.
    fn change(&mut self, change: &Change) -> Verdict {
        let chained = self.chained();
        let count = chained.len();
        let nth = |at: &Index| chained[at.index(count)];
        let next = |at: At| chained.iter().find(|other| **other > at).copied();
        match change {
            Change::Nothing => Verdict::Well,
            Change::Flip(at, byte, to) => {
                let at = nth(at);
                let is_last = at.1 + 1 == self.files[at.0].1.len();
                let line = self.line_mut(at);
                let byte = byte.index(line.len());
                let is_end = byte + 1 == line.len();
                line[byte] ^= to;
                Verdict::Wrong(
                    at,
                    if is_end && is_last {
                        Wrong::Torn
                    } else {
                        Wrong::Altered
                    },
                )
            }
            Change::Delete(at) => {
                let at = nth(at);
                self.files[at.0].1.remove(at.1);
                match next(at) {
                    _ if self.files[at.0].1.is_empty() => Verdict::Wrong((at.0, 0), Wrong::Torn),
                    _ if at.1 == 0 => Verdict::Wrong((at.0, 0), Wrong::Header),
                    None => Verdict::Short,
                    Some((file, line)) if file == at.0 => {
                        Verdict::Wrong((file, line - 1), Wrong::Missing)
                    }
                    Some(next) => Verdict::Wrong(next, Wrong::Missing),
                }
            }
            Change::Swap(one, other) => self.swap(nth(one), nth(other)),
            Change::Repeat(one, behind) => {
                let from = one.index(count);
                let behind = chained[from + behind.index(count - from)];
                let line = self.line(chained[from]).clone();
                self.files[behind.0].1.insert(behind.1 + 1, line);
                Verdict::Wrong((behind.0, behind.1 + 1), Wrong::Reordered)
            }
            Change::Truncate(file, byte) => {
                let file = file.index(self.files.len());
                let length = self.files[file].1.concat().len();
                self.truncate(file, byte.index(length))
            }
            Change::Cut(file, line) => {
                let file = file.index(self.files.len());
                let lines = &self.files[file].1;
                let kept = &lines[..line.index(lines.len())];
                self.truncate(file, kept.concat().len())
            }
            Change::Edit(at) => {
                let at = nth(at);
                edit(self.line_mut(at));
                Verdict::Wrong(at, Wrong::Altered)
            }
            Change::Rewrite(at) => {
                let at = nth(at);
                let line = self.line_mut(at);
                edit(line);
                hash_again(line);
                match next(at) {
                    Some(next) => Verdict::Wrong(next, Wrong::Unlinked),
                    None => Verdict::Wrong(at, Wrong::Forked),
                }
            }
            Change::Remove(file) => {
                let file = file.index(self.files.len());
                let (path, _) = self.files.remove(file);
                fs::remove_file(path).unwrap();
                if file == self.files.len() {
                    Verdict::Short
                } else {
                    Verdict::Wrong((file, 0), Wrong::Missing)
                }
            }
        }
    }

    fn swap(&mut self, one: At, other: At) -> Verdict {
        let (first, second) = (one.min(other), one.max(other));
        if first == second {
            return Verdict::Well;
        }
        let line = self.line(first).clone();
        *self.line_mut(first) = self.line(second).clone();
        *self.line_mut(second) = line;
        Verdict::Wrong(
            first,
            if first.1 == 0 {
                Wrong::Header
            } else {
                Wrong::Reordered
            },
        )
    }

    /// Only the first bytes of the file are left.
    fn truncate(&mut self, file: usize, mut left: usize) -> Verdict {
        let lines = &mut self.files[file].1;
        let all = lines.clone();
        let mut kept = Vec::new();
        for line in &all {
            let length = line.len().min(left);
            left -= length;
            if length > 0 {
                kept.push(line[..length].to_vec());
            }
        }
        let gone = all.iter().skip(kept.len());
        let links = gone.filter(|line| is_chained(line)).count();
        let is_torn = kept.last().is_none_or(|line| !line.ends_with(b"\n"));
        let (last, is_same) = (kept.len().saturating_sub(1), kept == all);
        *lines = kept;
        let is_last = file + 1 == self.files.len();
        match (is_torn, is_last, links) {
            (true, ..) => Verdict::Wrong((file, last), Wrong::Torn),
            _ if is_same => Verdict::Well,
            (false, true, 0) => Verdict::Well,
            (false, true, _) => Verdict::Short,
            (false, false, 0) => Verdict::Wrong((file + 1, 0), Wrong::Miscounted),
            (false, false, _) => Verdict::Wrong((file + 1, 0), Wrong::Missing),
        }
    }
}

fn is_chained(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains(",\"chain\":\"")
}

/// Another value for the first number.
fn edit(line: &mut [u8]) {
    let at = line.iter().position(u8::is_ascii_digit).unwrap();
    line[at] = if line[at] == b'9' { b'1' } else { line[at] + 1 };
}

/// As somebody does it who knows how it is made.
fn hash_again(line: &mut Vec<u8>) {
    let text = String::from_utf8(line.clone()).unwrap();
    let (body, link) = text.rsplit_once(",\"chain\":\"").unwrap();
    let mut parts = link.split('.');
    let (n, prev) = (parts.next().unwrap(), parts.next().unwrap());
    let hash = sha2::Sha256::digest(format!("{n}.{prev}.{body}}}"));
    *line = format!("{body},\"chain\":\"{n}.{prev}.{hash:x}\"}}\n").into_bytes();
}

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
        // A file's first line may have lost what makes it one.
        let found = verdict(&written, dir.path());
        if let (Verdict::Wrong(at, Wrong::Altered), Verdict::Wrong(_, Wrong::Header)) =
            (&expected, &found)
            && at.1 == 0
        {
            expected = Verdict::Wrong(*at, Wrong::Header);
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
