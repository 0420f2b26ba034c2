//! The folder of a run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::ExhibitKind;
use crate::report::facts::Facts;
use crate::report::{
    Report, configs, databases, draw, final_report, html, logs, metrics, readme, summary,
};

/// What went wrong while a report was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("`{path}` cannot be written: {source}")]
    File { path: String, source: io::Error },
    #[error("`{path}` has no JSON: {source}")]
    Json {
        path: String,
        source: serde_json::Error,
    },
    #[error("a picture cannot be drawn: {0}")]
    Picture(#[from] draw::DrawError),
}

/// A new folder `run-YYYY-MM-DD-SEQ` in this one. Two runs that start at once do not get the same.
pub(crate) fn create(out: &Path, facts: &Facts) -> Result<(PathBuf, String), WriteError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| WriteError::File { path, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let mut number = 1;
    loop {
        let name = format!("run-{}-{number:03}", facts.started.date());
        let folder = out.join(&name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok((folder, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(failed(&folder)(error)),
        }
    }
}

/// Writes everything.
pub(crate) fn write(folder: &Path, report: &Report) -> Result<(), WriteError> {
    let files = Files { folder };
    top(&files, report)?;
    databases(&files, report)?;
    let facts = &report.facts;
    files.json("config/run_config.json", &configs::run_config(report))?;
    files.json("config/environment.json", &configs::environment(facts))?;
    files.json("results/metrics/latency.json", &metrics::latency(report))?;
    files.json(
        "results/metrics/throughput.json",
        &metrics::throughput(report),
    )?;
    files.json(
        "results/metrics/resource_usage.json",
        &metrics::resource_usage(report),
    )?;
    for result in &facts.results {
        let path = format!("results/metrics/{}.json", result.test_id);
        files.json(&path, &metrics::scenario(result, report))?;
    }
    scenario_logs(&files, report)?;
    traces(&files, report)
}

fn top(files: &Files<'_>, report: &Report) -> Result<(), WriteError> {
    files.json("findings.json", &configs::findings(report))?;
    files.json("aggregated_findings.json", &configs::aggregated(report))?;
    files.json("risk_matrix.json", &report.risks)?;
    files.json("go_no_go.json", &report.go_no_go)?;
    files.json("baselines.json", &report.baselines)?;
    files.json("summary.json", &summary::of(report))?;
    files.text("README.md", &readme::of(report))?;
    files.text("FINAL_REPORT.md", &final_report::of(report))?;
    files.text("risk_matrix.svg", &draw::risk_svg(&report.risks)?)?;
    files.bytes("risk_matrix.png", &draw::risk_png(&report.risks)?)?;
    files.text("report.html", &html::of(report)?)
}

fn databases(files: &Files<'_>, report: &Report) -> Result<(), WriteError> {
    files.json("bugs.json", &databases::bugs(report))?;
    files.json("dx.json", &databases::dx(report))?;
    files.json("improvements.json", &databases::improvements(report))?;
    files.json("strengths.json", &databases::strengths(report))?;
    files.json("dx_evaluation/scores.json", &databases::scores(report))
}

fn scenario_logs(files: &Files<'_>, report: &Report) -> Result<(), WriteError> {
    let facts = &report.facts;
    for result in facts.results.iter().filter(|result| result.was_run()) {
        let name = format!(
            "results/logs/{}_{}",
            result.test_id,
            facts.started.compact()
        );
        let log = format!("{name}.log");
        files.text(&log, &logs::text(result, facts))?;
        files.json(
            &format!("{name}_stats.json"),
            &logs::stats(result, facts, &log),
        )?;
        files.json(
            &format!("{name}_errors.json"),
            &logs::errors(result, facts, &log),
        )?;
        files.text(&format!("{name}_analysis.md"), &logs::analysis(result))?;
    }
    Ok(())
}

fn traces(files: &Files<'_>, report: &Report) -> Result<(), WriteError> {
    let stamp = report.facts.started.compact();
    for result in report
        .facts
        .results
        .iter()
        .filter(|result| !result.exhibits.is_empty())
    {
        let exhibits: Vec<_> = result
            .exhibits
            .iter()
            .map(|exhibit| {
                let run: Option<serde_json::Value> = match exhibit.kind {
                    ExhibitKind::Run => serde_json::from_str(&exhibit.text).ok(),
                    ExhibitKind::Text => None,
                };
                let text = if run.is_some() {
                    None
                } else {
                    Some(&exhibit.text)
                };
                json!({ "title": exhibit.title, "kind": exhibit.kind, "run": run, "text": text })
            })
            .collect();
        let trace = json!({
            "test_id": result.test_id,
            "timestamp": report.facts.started.to_string(),
            "exhibits": exhibits,
        });
        files.json(
            &format!("results/traces/trace_{stamp}_{}.json", result.test_id),
            &trace,
        )?;
    }
    Ok(())
}

struct Files<'f> {
    folder: &'f Path,
}

impl Files<'_> {
    fn json(&self, path: &str, value: &impl Serialize) -> Result<(), WriteError> {
        let mut text = serde_json::to_string_pretty(value).map_err(|source| WriteError::Json {
            path: path.to_owned(),
            source,
        })?;
        text.push('\n');
        self.text(path, &text)
    }

    fn text(&self, path: &str, text: &str) -> Result<(), WriteError> {
        self.bytes(path, text.as_bytes())
    }

    fn bytes(&self, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let file = self.folder.join(path);
        let written = match file.parent() {
            Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(&file, bytes)),
            None => fs::write(&file, bytes),
        };
        written.map_err(|source| WriteError::File {
            path: file.display().to_string(),
            source,
        })
    }
}
