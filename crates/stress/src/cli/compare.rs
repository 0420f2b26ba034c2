//! What changed between two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Verdict;
use crate::cli::table;
use crate::report::baselines::{Baselines, Change};
use crate::report::findings::{Finding, Kind};
use crate::report::summary::Summary;

/// A folder that has no run in it.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be read: {why}")]
pub(crate) struct FolderError {
    path: String,
    why: String,
}

/// One run, as its folder tells it.
struct Run {
    summary: Summary,
    findings: Vec<Finding>,
    baselines: Baselines,
}

#[derive(Deserialize)]
struct FindingsFile {
    findings: Vec<Finding>,
}

/// What is different.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Id, before, after.
    pub(crate) verdicts: Vec<(String, Option<Verdict>, Option<Verdict>)>,
    pub(crate) new: Vec<Finding>,
    pub(crate) gone: Vec<Finding>,
    pub(crate) changes: Vec<Change>,
    pub(crate) other_machine: bool,
}

/// Reads both folders and compares them.
pub(crate) fn of(before: &Path, after: &Path) -> Result<Comparison, FolderError> {
    let (before, after) = (read(before)?, read(after)?);
    let ids = |run: &Run| -> BTreeSet<String> {
        run.findings
            .iter()
            .map(|finding| finding.id.clone())
            .collect()
    };
    let (old, new) = (ids(&before), ids(&after));
    let only = |run: &Run, other: &BTreeSet<String>| -> Vec<Finding> {
        let told = |one: &&Finding| {
            !other.contains(&one.id) && !matches!(one.kind, Kind::Strength | Kind::Improvement)
        };
        run.findings.iter().filter(told).cloned().collect()
    };
    Ok(Comparison {
        verdicts: verdicts(&before.summary, &after.summary),
        new: only(&after, &old),
        gone: only(&before, &new),
        changes: after.baselines.changes_since(&before.baselines),
        other_machine: !after.baselines.same_machine(&before.baselines),
    })
}

fn verdicts(before: &Summary, after: &Summary) -> Vec<(String, Option<Verdict>, Option<Verdict>)> {
    let of = |summary: &Summary| -> BTreeMap<String, Verdict> {
        let lines = summary.scenarios.iter();
        lines
            .map(|line| (line.test_id.clone(), line.verdict))
            .collect()
    };
    let (old, new) = (of(before), of(after));
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    ids.into_iter()
        .map(|id| (id.clone(), old.get(id).copied(), new.get(id).copied()))
        .filter(|(_, before, after)| before != after)
        .collect()
}

fn read(folder: &Path) -> Result<Run, FolderError> {
    let findings: FindingsFile = file(&folder.join("findings.json"))?;
    Ok(Run {
        summary: file(&folder.join("summary.json"))?,
        findings: findings.findings,
        baselines: file(&folder.join("baselines.json"))?,
    })
}

fn file<T: DeserializeOwned>(path: &Path) -> Result<T, FolderError> {
    let error = |why: String| FolderError {
        path: path.display().to_string(),
        why,
    };
    let text = fs::read_to_string(path).map_err(|why| error(why.to_string()))?;
    serde_json::from_str(&text).map_err(|why| error(why.to_string()))
}

impl Comparison {
    /// Whether the later run is worse in something.
    pub(crate) fn is_worse(&self) -> bool {
        let bad = |verdict: Option<Verdict>| {
            matches!(
                verdict,
                Some(Verdict::Fail | Verdict::TimedOut | Verdict::Error | Verdict::Interrupted)
            )
        };
        let worse = |(_, before, after): &(String, Option<Verdict>, Option<Verdict>)| {
            bad(*after) && !bad(*before)
                || (*before == Some(Verdict::Pass) && *after != Some(Verdict::Pass))
        };
        self.verdicts.iter().any(worse)
            || !self.new.is_empty()
            || self.changes.iter().any(|change| change.worse > 0.10)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.other_machine {
            parts.push("The runs are of different machines: their times say little.".to_owned());
        }
        if !self.verdicts.is_empty() {
            let shown = |verdict: &Option<Verdict>| {
                verdict.map_or_else(|| "not run".to_owned(), |verdict| verdict.to_string())
            };
            let lines = self.verdicts.iter();
            let lines = lines.map(|(id, a, b)| format!("  {id}: {} -> {}", shown(a), shown(b)));
            parts.push(format!(
                "Verdicts:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            ));
        }
        for (title, findings) in [
            ("New findings", &self.new),
            ("Findings that are gone", &self.gone),
        ] {
            if !findings.is_empty() {
                let lines = findings
                    .iter()
                    .map(|one| format!("  {}: {}", one.id, one.title));
                parts.push(format!(
                    "{title}:\n{}",
                    lines.collect::<Vec<_>>().join("\n")
                ));
            }
        }
        if !self.changes.is_empty() {
            parts.push(format!(
                "Numbers that changed beyond their intervals:\n{}",
                table::changes(&self.changes)
            ));
        }
        if parts.is_empty() {
            parts.push("Nothing changed.".to_owned());
        }
        parts.join("\n\n")
    }
}
