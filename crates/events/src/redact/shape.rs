//! What is known by its shape: users in URLs, PEM blocks, numbers of cards and bank accounts.

use std::ops::Range;

use super::harmless::is_id;

pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    users(text, found);
    pem(text, found);
    cards(text, found);
    accounts(text, found);
}

/// `user:password` in `scheme://user:password@host`.
fn users(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let start = from + at + 3;
        let ends = |c: char| c.is_whitespace() || "/?#\"'`<>".contains(c);
        let end = text[start..]
            .find(ends)
            .map_or(text.len(), |length| start + length);
        if let Some(at) = text[start..end].rfind('@').filter(|at| *at > 0) {
            found.push(start..start + at);
        }
        from = end;
    }
}

/// From `-----BEGIN` to the end of the line `-----END ...-----`; to the end of all if there is none.
fn pem(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = text[from..].find("-----BEGIN") {
        let start = from + at;
        let end = text[start..].find("-----END").map_or(text.len(), |at| {
            let label = start + at + "-----END".len();
            text[label..]
                .find("-----")
                .map_or(text.len(), |length| label + length + 5)
        });
        found.push(start..end);
        from = end;
    }
}

/// Groups of digits with one space or hyphen between them.
fn cards(text: &str, found: &mut Vec<Range<usize>>) {
    const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
    let mut groups = digit_groups(text);
    // An id of our own may have such digits by chance.
    groups.retain(|group| !is_id(word_around(text, group)));
    for (first, group) in groups.iter().enumerate() {
        let mut digits = Luhn::default();
        let mut end = group.start;
        for next in &groups[first..] {
            let between = &text[end..next.start];
            let joined = end == group.start || matches!(between, " " | "-");
            if !joined || next.len() < 3 || digits.count + next.len() > *DIGITS.end() {
                break;
            }
            text[next.clone()]
                .bytes()
                .for_each(|byte| digits.push(byte));
            end = next.end;
            if DIGITS.contains(&digits.count) && digits.is_right() {
                found.push(group.start..end);
            }
        }
    }
}

/// The letters, digits and underscores around a group of digits, as far as an id of our own may reach: a longer word is none,
/// and is not gone through for each of its groups.
fn word_around<'a>(text: &'a str, group: &Range<usize>) -> &'a str {
    const REACH: usize = 40;
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let before = bytes[..group.start].iter().rev().take(REACH);
    let after = bytes[group.end..].iter().take(REACH);
    let start = group.start - before.take_while(|byte| is_inside(byte)).count();
    let end = group.end + after.take_while(|byte| is_inside(byte)).count();
    &text[start..end]
}

fn digit_groups(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut groups = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > start {
            groups.push(start..at);
        }
        at += 1;
    }
    groups
}

/// The check digit of card numbers. Which digits are doubled depends on how many follow, so both sums are kept.
#[derive(Default)]
struct Luhn {
    count: usize,
    /// With the last digit as it is; with the last digit doubled.
    sums: [u32; 2],
}

impl Luhn {
    fn push(&mut self, byte: u8) {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        self.sums = [self.sums[1] + digit, self.sums[0] + doubled];
        self.count += 1;
    }

    fn is_right(&self) -> bool {
        self.sums[0].is_multiple_of(10)
    }
}

/// Whether a number is one of a card, as JSON has it without spaces.
pub(super) fn is_card(number: u64) -> bool {
    let digits = number.to_string();
    let mut luhn = Luhn::default();
    digits.bytes().for_each(|byte| luhn.push(byte));
    // Issuers of cards; times in milliseconds or nanoseconds begin with a 1.
    digits.len() >= 13 && digits.starts_with(['2', '3', '4', '5', '6']) && luhn.is_right()
}

/// IBANs, with single spaces or without.
fn accounts(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        let [a, b, c, d, ..] = bytes[at..] else { break };
        let starts = a.is_ascii_uppercase()
            && b.is_ascii_uppercase()
            && c.is_ascii_digit()
            && d.is_ascii_digit()
            && !at
                .checked_sub(1)
                .is_some_and(|before| bytes[before].is_ascii_alphanumeric());
        if let Some(end) = starts.then(|| account_end(bytes, at)).flatten() {
            found.push(at..end);
        }
    }
}

/// The end of the longest IBAN that starts here: letters count as 10 to 35, and the first four stand at the end.
fn account_end(bytes: &[u8], start: usize) -> Option<usize> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
    let value = |byte: u8| {
        u64::from(if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A' + 10
        })
    };
    let shifted = |sum: u64, byte: u8| {
        let value = value(byte);
        (sum * if value < 10 { 10 } else { 100 } + value) % 97
    };
    let head = &bytes[start..start + 4];
    let (mut sum, mut count, mut longest) = (0, 4, None);
    let mut at = start + 4;
    while count < *LENGTHS.end() {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_digit() || byte.is_ascii_uppercase() => {
                sum = shifted(sum, *byte);
                count += 1;
                let ends = !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
                let whole = head.iter().fold(sum, |sum, byte| shifted(sum, *byte));
                if ends && LENGTHS.contains(&count) && whole == 1 {
                    longest = Some(at + 1);
                }
            }
            Some(b' ') if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => {}
            _ => break,
        }
        at += 1;
    }
    longest
}
