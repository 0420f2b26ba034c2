//! How far a spill was read, on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// A place in a spill: everything before it was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which file.
    pub(super) segment: u64,
    /// How far in, in bytes.
    pub(super) offset: u64,
}

/// The file that a place is kept in. It is written over in place: if that is torn, its checksum is wrong and the spill is read
/// from its beginning, so records come twice, and none is left out.
#[derive(Debug)]
pub(super) struct Position(File);

impl Position {
    /// The file, and what it says.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Place)> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let mut file = options.open(path)?;
        let mut text = Vec::new();
        Read::by_ref(&mut file).take(64).read_to_end(&mut text)?;
        Ok((Self(file), parse(&text).unwrap_or_default()))
    }

    /// Remembers this place.
    pub(super) fn set(&mut self, place: Place) -> io::Result<()> {
        let mut bytes = [0; 20];
        let (numbers, sum) = bytes.split_at_mut(16);
        let (segment, offset) = numbers.split_at_mut(8);
        segment.copy_from_slice(&place.segment.to_le_bytes());
        offset.copy_from_slice(&place.offset.to_le_bytes());
        sum.copy_from_slice(&crc32fast::hash(numbers).to_le_bytes());
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&bytes)
    }
}

fn parse(bytes: &[u8]) -> Option<Place> {
    let (segment, rest) = bytes.split_first_chunk::<8>()?;
    let (offset, sum) = rest.split_first_chunk::<8>()?;
    let (sum, _) = sum.split_first_chunk::<4>()?;
    let intact = crc32fast::hash(bytes.get(..16)?) == u32::from_le_bytes(*sum);
    intact.then_some(Place {
        segment: u64::from_le_bytes(*segment),
        offset: u64::from_le_bytes(*offset),
    })
}
