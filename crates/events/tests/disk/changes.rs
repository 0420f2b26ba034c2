//! What is done to journals, and what the verifier should say of it.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use sha2::Digest as _;
use stageflow_events::journal::{Chain, Journal, JournalHead, JournalOptions};

use crate::journals::{feed, files, lines, wait};

const KINDS: [&str; 4] = [
    "stage.started",
    "docs.loaded",
    "audit.viewed",
    "stage.ended",
];

/// Something that is done to a chained line, or to a file.
#[derive(Clone, Debug)]
pub(crate) enum Change {
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
pub(crate) struct Case {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) chain: Chain,
    pub(crate) rotate_at: u64,
    pub(crate) batch: usize,
    pub(crate) restarts: usize,
    pub(crate) change: Change,
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
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
pub(crate) struct Written {
    pub(crate) files: Vec<(PathBuf, Vec<Vec<u8>>)>,
    pub(crate) head: JournalHead,
}

/// A place, from 0.
pub(crate) type At = (usize, usize);

/// What the verifier should say: all is well, or this is wrong here.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Well,
    /// Nothing to see, but the journal has not come as far as it had.
    Short,
    Wrong(At, Wrong),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
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
    pub(crate) fn by(case: &Case, dir: &Path) -> Self {
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

    pub(crate) fn write(&self) {
        for (file, lines) in &self.files {
            fs::write(file, lines.concat()).unwrap();
        }
    }

    /// Does it, and says what should come of it.
    pub(crate) fn change(&mut self, change: &Change) -> Verdict {
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

pub(crate) fn is_chained(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains(",\"chain\":\"")
}

/// Another value for the first number; in the first line of a file, for how many files were deleted: what stands first there
/// depends on how JSON's fields are ordered, and not every other value leaves it the first line of a file.
pub(crate) fn edit(line: &mut [u8]) {
    const DELETED: &[u8] = b"\"deleted\":{\"files\":";
    let deleted = line.windows(DELETED.len()).position(|text| text == DELETED);
    let from = deleted.map_or(0, |at| at + DELETED.len());
    let digit = line[from..].iter().position(u8::is_ascii_digit).unwrap();
    let at = from + digit;
    line[at] = if line[at] == b'9' { b'1' } else { line[at] + 1 };
}

/// As somebody does it who knows how it is made.
pub(crate) fn hash_again(line: &mut Vec<u8>) {
    let text = String::from_utf8(line.clone()).unwrap();
    let (body, link) = text.rsplit_once(",\"chain\":\"").unwrap();
    let mut parts = link.split('.');
    let (n, prev) = (parts.next().unwrap(), parts.next().unwrap());
    let hash = sha2::Sha256::digest(format!("{n}.{prev}.{body}}}"));
    *line = format!("{body},\"chain\":\"{n}.{prev}.{hash:x}\"}}\n").into_bytes();
}
