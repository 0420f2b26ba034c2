//! A whole folder, held against its schemas.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::tempdir;

use super::sample;
use crate::report::facts::Facts;
use crate::report::{Report, folder};

/// A folder's file, by its path in the folder, and the schema that it has to keep.
const SCHEMAS: [(&str, &str); 20] = [
    ("findings.json", "findings"),
    ("aggregated_findings.json", "aggregated_findings"),
    ("risk_matrix.json", "risk_matrix"),
    ("go_no_go.json", "go_no_go"),
    ("baselines.json", "baselines"),
    ("summary.json", "summary"),
    ("config/run_config.json", "run_config"),
    ("config/environment.json", "environment"),
    ("results/metrics/latency.json", "latency"),
    ("results/metrics/throughput.json", "throughput"),
    ("results/metrics/resource_usage.json", "resource_usage"),
    ("results/metrics/", "scenario"),
    ("results/logs/*_stats.json", "log_stats"),
    ("results/logs/*_errors.json", "log_errors"),
    ("results/traces/", "trace"),
    ("bugs.json", "bugs"),
    ("dx.json", "dx"),
    ("improvements.json", "improvements"),
    ("strengths.json", "strengths"),
    ("dx_evaluation/scores.json", "scores"),
];

/// The first pattern that a path has decides.
fn schema_of(path: &str) -> Option<&'static str> {
    let fits = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => path.starts_with(start) && path.ends_with(end),
        None if pattern.ends_with('/') => path.starts_with(pattern),
        None => path == pattern,
    };
    SCHEMAS
        .iter()
        .find(|(pattern, _)| fits(pattern))
        .map(|(_, schema)| *schema)
}

fn schema(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.schema.json"));
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Writes a report and gives its folder.
fn written(out: &Path, facts: Facts) -> PathBuf {
    let (path, name) = folder::create(out, &facts).unwrap();
    folder::write(&path, &Report::of(facts, name)).unwrap();
    path
}

/// Every JSON file of a folder keeps its schema; gives the schemas that were used.
fn check(folder: &Path) -> BTreeSet<&'static str> {
    let mut used = BTreeSet::new();
    for file in files(folder) {
        let path = file
            .strip_prefix(folder)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if !path.ends_with(".json") {
            continue;
        }
        let name = schema_of(&path).unwrap_or_else(|| panic!("`{path}` has no schema"));
        let value: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema(name)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{path} breaks {name}: {errors:#?}");
        used.insert(name);
    }
    used
}

/// `STAGEFLOW_STRESS_SAMPLE` names a folder to keep the report in, to look at it.
#[test]
fn every_file_keeps_its_schema() {
    let temporary = tempdir().unwrap();
    let kept = std::env::var_os("STAGEFLOW_STRESS_SAMPLE").map(PathBuf::from);
    let folder = written(
        &kept.unwrap_or_else(|| temporary.path().to_owned()),
        sample::rich(),
    );
    let used = check(&folder);
    let all: BTreeSet<&str> = SCHEMAS.iter().map(|(_, schema)| *schema).collect();
    assert_eq!(used, all, "a schema that no file uses proves nothing");
    let names = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")).unwrap();
    assert_eq!(names.count(), all.len(), "a schema that nobody looks at");
    for file in [
        "README.md",
        "FINAL_REPORT.md",
        "report.html",
        "risk_matrix.svg",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let png = fs::read(folder.join("risk_matrix.png")).unwrap();
    assert_eq!(&png[1..4], b"PNG");
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (1200, 800));
}

#[test]
fn a_report_of_nothing_is_a_report_too() {
    let temporary = tempdir().unwrap();
    check(&written(temporary.path(), sample::facts(Vec::new())));
    let waiting = sample::facts(vec![sample::pending("M2-JITTER")]);
    check(&written(temporary.path(), waiting));
}

#[test]
fn numbers_that_are_none_do_no_harm() {
    let temporary = tempdir().unwrap();
    let mut odd = sample::sampled(
        sample::passed("C1-BASELINE", 3),
        "run_us",
        vec![f64::NAN; 3],
    );
    odd.samples.insert(
        "none".to_owned(),
        crate::Samples {
            unit: "us".to_owned(),
            values: Vec::new(),
            taken: 0,
        },
    );
    odd.scalings.push(crate::Scaling {
        name: "one point".to_owned(),
        unit: "us".to_owned(),
        points: vec![[1.0, 0.0]],
        slope: f64::NAN,
        ci95: [f64::NAN; 2],
    });
    check(&written(temporary.path(), sample::facts(vec![odd])));
}

#[test]
fn a_folder_is_never_written_over() {
    let temporary = tempdir().unwrap();
    let facts = sample::facts(vec![sample::passed("C1-BASELINE", 10)]);
    let first = written(temporary.path(), facts.clone());
    let second = written(temporary.path(), facts);
    assert!(first.ends_with("run-2026-01-19-001") && second.ends_with("run-2026-01-19-002"));
}

#[test]
fn a_page_needs_no_network_and_runs_nothing() {
    let temporary = tempdir().unwrap();
    let folder = written(temporary.path(), sample::rich());
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(
        !page.contains("<script"),
        "a text of a scenario became code"
    );
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    // The name space of SVG is a name, not an address that is asked.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for link in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(link), "{link}");
    }
    assert!(page.contains("cargo xtask stress --only T3-CANCEL --seed 0x2a --trial 12</code>"));
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    for (open, close) in [
        ("<svg", "</svg>"),
        ("<section", "</section>"),
        ("<table", "</table>"),
        ("<div", "</div>"),
    ] {
        assert_eq!(
            page.matches(open).count(),
            page.matches(close).count(),
            "{open}"
        );
    }
}
