//! What belongs to one machine and not to the project: absolute paths and the hosts packages are fetched from.

use crate::files::Source;

/// Folders that only exist on somebody's machine. They are put together here, so that this file passes its own rule.
const FOLDERS: [&str; 3] = [
    concat!("/wor", "k/"),
    concat!("/roo", "t/"),
    concat!("/hom", "e/"),
];

/// Hosts of package registries: a mirror or a lock file's business, never ours.
const HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.debian", ".org"),
];

/// Every place in one file that names a machine's folder or a registry's host.
pub(crate) fn problems(source: &Source) -> Vec<String> {
    // Cargo writes the lock file, with the registry's address in it.
    if source.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let at = format!("{}:{}", source.path, index + 1);
        let folders = FOLDERS.iter().filter(|folder| has_absolute(line, folder));
        problems.extend(
            folders.map(|folder| format!("{at}: a path on somebody's machine, `{folder}`")),
        );
        let hosts = HOSTS.iter().filter(|host| line.contains(**host));
        problems
            .extend(hosts.map(|host| format!("{at}: the host of a package registry, `{host}`")));
    }
    problems
}

/// `x/home/` is a relative path or a part of an address; only a leading slash makes it absolute.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~*}/".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        problems(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        for folder in FOLDERS {
            assert_eq!(
                found("a.md", &format!("see `{folder}main`\n{folder}")),
                2,
                "{folder}"
            );
            assert_eq!(
                found("a.md", &format!("see docs{folder}main")),
                0,
                "{folder}"
            );
            assert_eq!(
                found("a.md", &format!("see example.net{folder}main")),
                0,
                "{folder}"
            );
        }
    }

    #[test]
    fn registry_hosts_are_found_except_in_the_lock_file() {
        for host in HOSTS {
            assert_eq!(
                found("README.md", &format!("https://{host}/x")),
                1,
                "{host}"
            );
            assert_eq!(
                found("Cargo.lock", &format!("https://{host}/x")),
                0,
                "{host}"
            );
        }
    }
}
