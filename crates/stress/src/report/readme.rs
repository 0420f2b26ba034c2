//! `README.md` of a run's folder.

use crate::report::page::Page;
use crate::report::{Report, configs};

/// What lies in the folder and where to start.
pub(crate) fn of(report: &Report) -> String {
    let mut page = Page::default();
    page.line(format!("# {}\n", report.run_id));
    page.line(format!("{}\n", configs::summary(report)));
    page.line(format!(
        "Seed {}, started {}, {:.0} s. Start with `report.html`.\n",
        report.facts.seed,
        report.facts.started,
        report.facts.wall.as_secs_f64()
    ));
    let files = [
        ("report.html", "everything in one page, without a network"),
        ("FINAL_REPORT.md", "the same as a text"),
        ("summary.json", "for programs: verdicts and numbers"),
        (
            "findings.json",
            "what was found; `aggregated_findings.json` counts it",
        ),
        (
            "risk_matrix.json",
            "impact and likelihood; as pictures `.svg` and `.png`",
        ),
        ("go_no_go.json", "eight criteria with their evidence"),
        ("baselines.json", "for `--baseline` of the next run"),
        (
            "bugs.json",
            "with `dx.json`, `improvements.json`, `strengths.json`: the four databases",
        ),
        (
            "dx_evaluation/scores.json",
            "the developer's experience, as far as scenarios speak for it",
        ),
        ("config/", "with what it was run, and on what"),
        (
            "results/metrics/",
            "a file for each scenario, and three over all",
        ),
        (
            "results/logs/",
            "what the scenarios said, and what reading it gave",
        ),
        ("results/traces/", "runs and texts that show a failure"),
    ];
    page.table(
        &["file", "what it has"],
        files.map(|(file, what)| vec![format!("`{file}`"), what.to_owned()]),
    );
    page.done()
}
