//! One record in a file: a mark, how long it is, a checksum, and its JSON.
//!
//! ```text
//! fe 52 65 fe │ length: u32 │ crc32 of length and body: u32 │ body       (numbers are little-endian)
//! ```
//!
//! `fe` is no byte of UTF-8, so the mark cannot stand in a body: behind damage, the next record is found again.

const MARK: [u8; 4] = [0xfe, b'R', b'e', 0xfe];

/// What stands before a body, in bytes.
pub(super) const HEAD: usize = 12;

/// What stands at a place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole record, up to `end`.
    Record { end: usize },
    /// Something that is no record any more. The next one starts at `next`, if there is one.
    Damaged { next: usize },
    /// Nothing more.
    End,
}

/// Writes the head into the room that was left for it at the start of `frame`. `None` if the body is too long for any file.
pub(super) fn seal(frame: &mut [u8]) -> Option<()> {
    let (head, body) = frame.split_at_mut_checked(HEAD)?;
    let length = u32::try_from(body.len()).ok()?.to_le_bytes();
    let parts = [&MARK, &length, &checksum(length, body).to_le_bytes()];
    for (to, from) in head.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    Some(())
}

/// What stands at `at`.
pub(super) fn find(bytes: &[u8], at: usize) -> Found {
    let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
        return Found::End;
    };
    match whole(rest) {
        Some(length) => Found::Record { end: at + length },
        None => {
            let behind = rest.get(1..).unwrap_or_default();
            let next = behind.windows(MARK.len()).position(|bytes| bytes == MARK);
            Found::Damaged {
                next: next.map_or(bytes.len(), |next| at + 1 + next),
            }
        }
    }
}

/// How long the record at the start is, with its head.
fn whole(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..u32::from_le_bytes(*length) as usize)?;
    let intact = u32::from_le_bytes(*sum) == checksum(*length, body);
    intact.then_some(HEAD + body.len())
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}
