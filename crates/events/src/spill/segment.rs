//! The files of a spill.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::frame::{self, Found};

const MAGIC: &[u8; 7] = b"SFSPILL";
const VERSION: u8 = 1;

/// What stands before the first record, in bytes: the magic, the version, and a checksum of both.
pub(super) const HEADER: u64 = 12;

/// One file of a spill, as it is known in memory.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// How large it is, with its header.
    pub(super) bytes: u64,
    /// How many intact records nobody has read yet.
    pub(super) unread: u64,
}

/// What a look through a file found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) damaged: u64,
    /// Whether what stood at its end was the start of a record only. It was cut off.
    pub(super) is_torn: bool,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.spill"))
}

/// The numbers of the files in this folder, in order.
pub(super) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".spill"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A new file with a header.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.create_new(true).append(true).open(path)?;
    let (mut header, version) = (MAGIC.to_vec(), [VERSION]);
    header.extend(version);
    header.extend(crc32fast::hash(&header).to_le_bytes());
    if let Err(error) = file.write_all(&header) {
        // A file without a header is of no use, and its number is wanted again.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// What is in a file behind `offset`. What is torn at its end is cut off.
pub(super) fn scan(path: &Path, offset: u64) -> io::Result<Scan> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let bytes = read(&mut file, 0, u64::MAX)?;
    refuse_newer(&bytes)?;
    let mut scan = Scan::default();
    let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut end = bytes.len();
    loop {
        match frame::find(&bytes, at) {
            Found::Record { end } => {
                scan.records += 1;
                at = end;
            }
            Found::Damaged { next } if next < bytes.len() => {
                scan.damaged += 1;
                at = next;
            }
            Found::Damaged { .. } => {
                scan.is_torn = true;
                end = at;
                break;
            }
            Found::End => break,
        }
    }
    if scan.is_torn {
        file.set_len(end as u64)?;
    }
    scan.bytes = end as u64;
    Ok(scan)
}

/// The bytes from `from` to `to`.
pub(super) fn read(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    Read::by_ref(file)
        .take(to.saturating_sub(from))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A header whose checksum is wrong says nothing: the records have their own.
fn refuse_newer(bytes: &[u8]) -> io::Result<()> {
    let header = bytes.split_first_chunk::<8>();
    let Some((header, (sum, _))) =
        header.and_then(|(header, rest)| Some((header, rest.split_first_chunk::<4>()?)))
    else {
        return Ok(());
    };
    let intact = crc32fast::hash(header) == u32::from_le_bytes(*sum);
    match header.strip_prefix(MAGIC) {
        Some([version]) if intact && *version != VERSION => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("written in version {version} of the format, this program knows {VERSION}"),
        )),
        _ => Ok(()),
    }
}
