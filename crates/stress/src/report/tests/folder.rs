//! A whole folder.

use std::path::PathBuf;

use tempfile::tempdir;

use super::sample;
use crate::report::{Report, folder};

/// Writes the sample report; into the folder that `STAGEFLOW_STRESS_SAMPLE` names, to look at it.
#[test]
fn a_rich_report_is_written() {
    let temporary = tempdir().unwrap();
    let kept = std::env::var_os("STAGEFLOW_STRESS_SAMPLE").map(PathBuf::from);
    let out = kept.unwrap_or_else(|| temporary.path().to_owned());
    let facts = sample::rich();
    let (path, name) = folder::create(&out, &facts).unwrap();
    let report = Report::of(facts, name);
    folder::write(&path, &report).unwrap();
    assert!(path.join("report.html").is_file());
}
