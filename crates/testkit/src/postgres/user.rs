//! Postgres does not run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Who runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Nobody else, unless we are root.
pub(super) fn instead_of_root() -> Result<Option<User>, String> {
    if !is_root() {
        return Ok(None);
    }
    let users =
        fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| find(&users, name))
        .map(Some)
        .ok_or_else(|| "there is neither a user `postgres` nor `nobody`".to_owned())
}

/// Whether we are root: what `/proc` says of ourselves is ours.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|ourselves| ourselves.uid() == 0)
}

/// Whether everybody may go through it, from the top.
pub(super) fn is_open(folder: &Path) -> bool {
    let passes =
        |folder: &Path| fs::metadata(folder).is_ok_and(|it| it.permissions().mode() & 1 == 1);
    folder
        .ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .all(passes)
}

/// `NAME:PASSWORD:UID:GID:...`
fn find(users: &str, name: &str) -> Option<User> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:9:9::/:\npostgres:x:105:111:,,,:/var:/bin/sh\n";
        assert_eq!(find(users, "postgres"), Some(User { uid: 105, gid: 111 }));
        assert_eq!(find(users, "nobody"), None);
    }
}
