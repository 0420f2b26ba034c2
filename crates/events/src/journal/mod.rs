//! The journal: a folder of files with one record a line, which only ever grow at their end, and a chain of hashes through
//! them that shows what was altered.
//!
//! ```text
//!   <dir>/lock                          held while a journal is open
//!   <dir>/journal-00000003.jsonl        {"journal":{"what":"begins","file":3,...},"chain":"1207.<prev>.<hash>"}
//!                                       {"version":2,"type":"run.started",...,"chain":"1208.<prev>.<hash>"}
//!                                       {"version":2,"type":"docs.loaded",...}
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | write events to files | [`Journal`], behind a bounded sink |
//! | read them again | [`read`]; lines that come from elsewhere: [`read_line`] |
//! | know whether somebody altered them | [`verify`] |
//! | take the records of somebody out for good | [`erase`] |
//! | know whether somebody cut off their end | [`JournalWatch::head`], kept elsewhere, and [`verify_to`] |

mod chain_error;
mod control;
mod disk;
mod erase;
mod error;
mod folder;
mod lines;
mod link;
mod open;
mod options;
mod read;
mod rotate;
mod survey;
mod verified;
mod verify;
mod watch;
mod write;

#[cfg(test)]
mod full_disk;

pub use chain_error::{ChainError, ChainErrorKind};
pub use erase::{Erased, erase};
pub use error::{JournalError, JournalErrorKind};
pub use link::{ChainHash, HeadError, JournalHead};
pub use options::{Chain, Format, JournalOptions, SyncPolicy};
pub use read::{ReadError, ReadErrorKind, Records, files, read, read_line};
pub use verified::Verified;
pub use verify::{verify, verify_to};
pub use watch::{JournalStatus, JournalWatch};
pub use write::Journal;
