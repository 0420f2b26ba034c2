//! What only the service knows.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;
use stageflow::context::{SealKey, SealKeys};
use stageflow_store::postgres::BadgeKey;

const KEY: usize = 32;

/// The keys of audit trails and of badges. A real service has them from its secret store, and not beside its data.
pub(crate) struct Secrets([u8; 2 * KEY]);

impl Secrets {
    /// Reads them from a file, which is made with new ones if it is not there.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut bytes = [0; 2 * KEY];
        match made {
            Ok(mut file) => {
                rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
                file.write_all(&bytes)?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new()
                    .read(true)
                    .open(path)?
                    .read_exact(&mut bytes)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self(bytes))
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
