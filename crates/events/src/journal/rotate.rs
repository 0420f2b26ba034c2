//! A new file begins, old ones go.

use std::io;
use std::sync::Arc;

use super::control::{Deleted, What};
use super::folder;
use super::open::{Old, State};

impl State {
    /// Whether the file has no room for so many bytes more. One without records takes any.
    pub(super) fn is_full(&self, more: u64) -> bool {
        let is_empty = self.records == self.records_before;
        !is_empty && self.bytes.saturating_add(more) > self.options.file_bytes()
    }

    /// Begins the next file. Its first line says what will be deleted; then that is deleted.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let number = self.file + 1;
        let path = folder::path(self.options.dir(), number);
        let before = Before {
            log: Arc::clone(&self.log),
            file: self.file,
            bytes: self.bytes,
            records_before: self.records_before,
            deleted: self.deleted,
        };
        let mut old = self.old.clone();
        old.push_back(Old {
            number: self.file,
            bytes: self.bytes,
            records_before: self.records_before,
        });
        let doomed = self.too_many(&mut old);
        self.log = self.disk.create(&path)?;
        self.file = number;
        self.bytes = 0;
        self.records_before = self.records;
        if let Err(error) = self.write_control(What::Begins, None) {
            let _ = self.disk.remove(&path);
            self.go_back(before);
            return Err(error);
        }
        self.old = old;
        self.doomed.extend(doomed);
        self.bury();
        Ok(())
    }

    /// Takes those out of `old` that may not be kept, and counts them as deleted.
    fn too_many(&mut self, old: &mut std::collections::VecDeque<Old>) -> Vec<u64> {
        let mut doomed = Vec::new();
        let (files, bytes) = (self.options.kept_files(), self.options.kept_bytes());
        while old.len() >= files || old.iter().map(|old| old.bytes).sum::<u64>() > bytes {
            let Some(first) = old.pop_front() else { break };
            let behind = old.front().map_or(self.records, |next| next.records_before);
            self.deleted = Deleted {
                files: first.number,
                records: behind,
            };
            doomed.push(first.number);
        }
        doomed
    }

    fn go_back(&mut self, before: Before) {
        self.log = before.log;
        self.file = before.file;
        self.bytes = before.bytes;
        self.records_before = before.records_before;
        self.deleted = before.deleted;
    }

    /// Deletes what was said to be deleted, the oldest first. What cannot be is tried again with the next file; until then
    /// those behind it stay, too, so that there are no gaps.
    pub(super) fn bury(&mut self) {
        while let Some(number) = self.doomed.first() {
            let path = folder::path(self.options.dir(), *number);
            if self.disk.remove(&path).is_err() {
                return;
            }
            self.doomed.remove(0);
        }
    }
}

/// How things stood before a new file.
struct Before {
    log: Arc<dyn super::disk::Log>,
    file: u64,
    bytes: u64,
    records_before: u64,
    deleted: Deleted,
}
