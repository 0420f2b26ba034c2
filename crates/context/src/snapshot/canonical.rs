//! The canonical form of JSON text, and its digest.
//!
//! A store may put keys into another order, indent, escape, or write a number in another way: all of that leaves the
//! canonical form as it is. Anything else changes it. The form is JSON again: no white space, keys sorted by the bytes of
//! their canonical text, strings with the fewest escapes, numbers as their significant digits and a power of ten:
//! `-1.20` is `-12e-1`.

use sha2::{Digest as _, Sha256};

use super::scan::{Container, Position, Step, Token, Tokens, unquoted};
use super::{SnapshotError, SnapshotErrorKind, SnapshotLimits};
use crate::ids::excerpt;

/// What the text is, and so how much of what it may hold.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Body,
    Extension(&'a str),
}

/// `sha256:` and the digest of the canonical form of `text`, which must be JSON.
pub(super) fn digest(
    text: &str,
    subject: Subject<'_>,
    limits: &SnapshotLimits,
) -> Result<String, SnapshotError> {
    let canonical = canonical(text, subject, limits)?;
    Ok(format!("sha256:{:x}", Sha256::digest(canonical)))
}

/// The canonical form of `text`, which must be JSON.
pub(super) fn canonical(
    text: &str,
    subject: Subject<'_>,
    limits: &SnapshotLimits,
) -> Result<Vec<u8>, SnapshotError> {
    let out = Vec::with_capacity(text.len());
    let mut writer = Writer {
        out,
        open: Vec::new(),
        position: Position::default(),
        subject,
        limits,
    };
    for (_, token) in Tokens::new(text) {
        writer.write(token)?;
    }
    Ok(writer.out)
}

struct Writer<'a> {
    out: Vec<u8>,
    open: Vec<Open>,
    position: Position<'a>,
    subject: Subject<'a>,
    limits: &'a SnapshotLimits,
}

/// A container whose end was not reached yet.
struct Open {
    container: Container,
    start: usize,
    count: usize,
    most: usize,
    members: Vec<Member>,
}

/// Where in `out` a member of an object starts, and where its key ends.
struct Member {
    start: usize,
    key_end: usize,
}

impl<'a> Writer<'a> {
    fn write(&mut self, token: Token<'a>) -> Result<(), SnapshotError> {
        match token {
            Token::Open(container) => {
                self.separate_items()?;
                let most = self.most_entries();
                self.position.advance(token);
                self.check_depth()?;
                self.open(container, most);
            }
            Token::Close => {
                self.position.advance(token);
                self.close()?;
            }
            Token::Key(key) => {
                self.position.advance(token);
                self.separate()?;
                self.write_key(key)?;
            }
            Token::Scalar(text) => {
                self.separate_items()?;
                self.position.advance(token);
                self.write_scalar(text)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, container: Container, most: usize) {
        self.open.push(Open {
            container,
            start: self.out.len(),
            count: 0,
            most,
            members: Vec::new(),
        });
        self.out.push(match container {
            Container::Array => b'[',
            Container::Object => b'{',
        });
    }

    fn close(&mut self) -> Result<(), SnapshotError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        self.sort_members(&open)?;
        self.out.push(match open.container {
            Container::Array => b']',
            Container::Object => b'}',
        });
        Ok(())
    }

    fn write_key(&mut self, key: &str) -> Result<(), SnapshotError> {
        let start = self.out.len();
        self.write_string(key)?;
        let key_end = self.out.len();
        self.out.push(b':');
        if let Some(open) = self.open.last_mut() {
            open.members.push(Member { start, key_end });
        }
        Ok(())
    }

    fn write_scalar(&mut self, text: &str) -> Result<(), SnapshotError> {
        match text.as_bytes().first() {
            Some(b'"') => self.write_string(text)?,
            Some(b'-' | b'0'..=b'9') => write_number(text, &mut self.out),
            _ => self.out.extend_from_slice(text.as_bytes()),
        }
        Ok(())
    }

    fn separate_items(&mut self) -> Result<(), SnapshotError> {
        match self.open.last() {
            Some(open) if open.container == Container::Array => self.separate(),
            _ => Ok(()),
        }
    }

    fn separate(&mut self) -> Result<(), SnapshotError> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        open.count += 1;
        if open.count > open.most {
            let problem = format!("there are more than {}", open.most);
            return Err(self.error(SnapshotErrorKind::TooMany, problem));
        }
        if open.count > 1 {
            self.out.push(b',');
        }
        Ok(())
    }

    /// Counted here, before anything is made of the text: what is refused must not cost memory first.
    fn most_entries(&self) -> usize {
        let Subject::Body = self.subject else {
            return usize::MAX;
        };
        let limits = self.limits;
        match self.position.steps() {
            [Step::Key(key)] => match &*unquoted(key) {
                "extensions" => limits.max_extensions(),
                "metadata" => limits.max_metadata(),
                _ => usize::MAX,
            },
            [Step::Key(part), Step::Key(key)] => match (&*unquoted(part), &*unquoted(key)) {
                ("conversation", "messages") => limits.max_messages(),
                ("enrichments", "documents" | "web_results") => limits.max_documents(),
                _ => usize::MAX,
            },
            _ => usize::MAX,
        }
    }

    fn check_depth(&self) -> Result<(), SnapshotError> {
        if self.position.depth() > self.levels_above() + self.limits.max_depth() {
            return Err(self.limits.too_deep(self.path()));
        }
        Ok(())
    }

    /// How many containers stand around the values that users put in, at this place.
    fn levels_above(&self) -> usize {
        let Subject::Body = self.subject else {
            return 0;
        };
        let key = |step: Option<&Step<'a>>| match step {
            Some(Step::Key(key)) => unquoted(key),
            _ => "".into(),
        };
        let steps = self.position.steps();
        match (&*key(steps.first()), &*key(steps.get(1))) {
            ("extensions" | "metadata", _) => 2,
            ("enrichments", "web_results") => 3,
            ("enrichments", "profile") => 4,
            _ => 5,
        }
    }

    fn sort_members(&mut self, open: &Open) -> Result<(), SnapshotError> {
        let key = |member: &Member| &self.out[member.start..member.key_end];
        if open.members.is_sorted_by(|a, b| key(a) < key(b)) {
            return Ok(());
        }
        let ends = open
            .members
            .iter()
            .skip(1)
            .map(|next| next.start - 1)
            .chain([self.out.len()]);
        let mut members: Vec<(&Member, usize)> = open.members.iter().zip(ends).collect();
        members.sort_by(|a, b| key(a.0).cmp(key(b.0)));
        if let Some(twice) = members
            .windows(2)
            .find(|pair| key(pair[0].0) == key(pair[1].0))
        {
            let name = String::from_utf8_lossy(key(twice[0].0)).into_owned();
            let problem = format!("the key {} is there twice", excerpt(&unquoted(&name)));
            return Err(self.error(SnapshotErrorKind::DuplicateKey, problem));
        }
        let mut sorted = Vec::with_capacity(self.out.len() - open.start);
        for (member, end) in members {
            sorted.push(if sorted.is_empty() { b'{' } else { b',' });
            sorted.extend_from_slice(&self.out[member.start..end]);
        }
        self.out.truncate(open.start);
        self.out.append(&mut sorted);
        Ok(())
    }

    fn write_string(&mut self, quoted: &str) -> Result<(), SnapshotError> {
        if has_fewest_escapes(quoted) {
            self.out.extend_from_slice(quoted.as_bytes());
            return Ok(());
        }
        let written = serde_json::from_str::<String>(quoted)
            .and_then(|text| serde_json::to_writer(&mut self.out, &text));
        written.map_err(|_| {
            self.error(
                SnapshotErrorKind::NotJson,
                "a string escapes half a character",
            )
        })
    }

    fn error(&self, kind: SnapshotErrorKind, problem: impl Into<String>) -> SnapshotError {
        SnapshotError::new(kind, self.path(), problem)
    }

    fn path(&self) -> String {
        match self.subject {
            Subject::Body => self.position.render("body"),
            Subject::Extension(name) => self
                .position
                .render(&format!("extensions.{}", excerpt(name))),
        }
    }
}

/// Whether a string is in its canonical form for certain: what other escapes stand for must be looked at.
fn has_fewest_escapes(quoted: &str) -> bool {
    let mut rest = quoted;
    while let Some((_, escaped)) = rest.split_once('\\') {
        if !escaped.starts_with(['"', '\\', 'b', 'f', 'n', 'r', 't']) {
            return false;
        }
        rest = escaped.get(1..).unwrap_or_default();
    }
    true
}

/// Exact for numbers of any size: only digits are moved, nothing is computed but the exponent.
fn write_number(text: &str, out: &mut Vec<u8>) {
    let (sign, unsigned) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let moved = i128::try_from(digits.len() - significant.len()).unwrap_or(0)
        - i128::try_from(fraction.len()).unwrap_or(0);
    let significant = significant.trim_start_matches('0');
    let canonical = match exponent.parse::<i64>() {
        _ if significant.is_empty() => format!("{sign}0"),
        Ok(exponent) => format!("{sign}{significant}e{}", i128::from(exponent) + moved),
        Err(_) => text.to_owned(),
    };
    out.extend_from_slice(canonical.as_bytes());
}
