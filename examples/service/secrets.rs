//! What only the service knows.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;
use stageflow::context::{SealKey, SealKeys};
use stageflow_store::postgres::BadgeKey;

const KEY: usize = 32;

/// The keys of audit trails and of badges. A real service has them from its secret store, and not beside its data.
pub(crate) struct Secrets([u8; 2 * KEY]);

impl Secrets {
    /// Reads them from a file, which is made with new ones if it is not there: whole or not at all, and once, whoever else starts
    /// at the same time. Nobody but its owner may ever read it.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            known => return known,
        }
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let mut bytes = [0; 2 * KEY];
        rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
        let permissions = Permissions::from_mode(0o600);
        let mut new = tempfile::Builder::new()
            .prefix(".secret.")
            .permissions(permissions)
            .tempfile_in(folder)?;
        new.write_all(&bytes)?;
        new.as_file().sync_all()?;
        match new.persist_noclobber(path) {
            Ok(_) => {}
            // Somebody else was faster: theirs are the keys.
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => drop(taken.file),
            Err(other) => return Err(other.error),
        }
        File::open(folder)?.sync_all()?;
        Self::read(path)
    }

    fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let long = bytes.len();
        bytes.try_into().map(Self).map_err(|_| {
            let most = 2 * KEY;
            let path = path.display();
            io::Error::other(format!(
                "`{path}` has {long} bytes, and the keys have {most}; bring it back from a copy, or remove it with all that was \
                 kept under it"
            ))
        })
    }

    pub(crate) fn seal_keys(&self) -> SealKeys {
        SealKeys::new(SealKey::new(1, self.half(0)))
    }

    pub(crate) fn badge_key(&self) -> BadgeKey {
        BadgeKey::new(1, self.half(KEY))
    }

    fn half(&self, from: usize) -> [u8; KEY] {
        std::array::from_fn(|at| self.0[from + at])
    }
}
