//! What a log says when it is read by rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::report::facts::{Facts, word};
use crate::report::page::Page;
use crate::{ScenarioResult, Severity};

/// A rule that a log breaks.
#[derive(Clone, Debug)]
pub(crate) struct Issue {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) detail: String,
}

/// How loud a line is, by the words in it.
fn level(line: &str) -> &'static str {
    let line = line.to_ascii_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    if starts(&["error", "panic", "fatal"]) {
        "ERROR"
    } else if starts(&["warn"]) {
        "WARN"
    } else {
        "INFO"
    }
}

fn count(lines: &[String], level_of: &str) -> usize {
    lines.iter().filter(|line| level(line) == level_of).count()
}

/// Reads a scenario's log by the rules that hold for any log.
pub(crate) fn issues(result: &ScenarioResult) -> Vec<Issue> {
    let lines = &result.log;
    let mut issues = Vec::new();
    let errors = count(lines, "ERROR");
    // A line or two are no rate.
    if lines.len() >= 10 && errors * 10 > lines.len() {
        issues.push(Issue {
            rule: "at most a tenth of the lines are errors",
            severity: Severity::High,
            detail: format!("{errors} of {} lines are errors", lines.len()),
        });
    }
    let retries = lines
        .iter()
        .filter(|line| line.to_ascii_lowercase().starts_with("retry"))
        .count();
    if retries > 10 {
        issues.push(Issue {
            rule: "at most ten lines tell of retries",
            severity: Severity::Medium,
            detail: format!("{retries} lines tell of retries"),
        });
    }
    let pairs = |word: &str| {
        let exact = |line: &&String| matches!(line.split(' ').collect::<Vec<_>>()[..], [first, _] if first == word);
        lines.iter().filter(exact).count()
    };
    // `start NAME` and `end NAME`, and nothing else on the line.
    let (begun, ended) = (pairs("start"), pairs("end"));
    if begun != ended {
        issues.push(Issue {
            rule: "every start has an end",
            severity: Severity::Medium,
            detail: format!("{begun} lines start something, {ended} end it"),
        });
    }
    let in_a_row = lines
        .windows(3)
        .find(|three| level(&three[0]) == "ERROR" && three[0] == three[1] && three[1] == three[2]);
    if let Some(three) = in_a_row {
        issues.push(Issue {
            rule: "no error comes three times in a row",
            severity: Severity::Medium,
            detail: three[0].clone(),
        });
    }
    issues
}

/// The log as a file: what it was run with, then what it said.
pub(crate) fn text(result: &ScenarioResult, facts: &Facts) -> String {
    let mut text = Page::default();
    text.add(format!(
        "# test: {}\n# title: {}\n# started: {}\n# seed: {}\n# scale: {}\n# runtimes: {}\n# commit: {}\n# replay: {}\n",
        result.test_id,
        result.title,
        facts.started,
        result.seed,
        result.scale,
        result.runtimes.iter().map(word).collect::<Vec<_>>().join(", "),
        facts.environment.commit,
        result.replay,
    ));
    for (number, line) in result.log.iter().enumerate() {
        // A line of a log is a line, whatever was said.
        let line = line.replace('\n', "\\n");
        text.add(format!("{:06} {:5} {line}\n", number + 1, level(&line)));
    }
    for breach in &result.breaches {
        let detail = breach.detail.replace('\n', "\\n");
        text.add(format!(
            "violation {} trial {} count {}: {}: {detail}\n",
            word(breach.severity),
            breach.trial,
            breach.count,
            breach.invariant
        ));
    }
    text.add(format!(
        "verdict {}: {} trials, {} violations, {:.0} ms\n",
        result.verdict, result.trials, result.violations, result.duration_ms
    ));
    text.done()
}

/// What reading it gave.
pub(crate) fn stats(result: &ScenarioResult, facts: &Facts, log_file: &str) -> Value {
    let lines = &result.log;
    let mut patterns: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        *patterns.entry(pattern(line)).or_default() += 1;
    }
    json!({
        "test_id": result.test_id,
        "log_file": log_file,
        "analysis_time": facts.completed.to_string(),
        "total_entries": lines.len(),
        "entries_by_level": {
            "ERROR": count(lines, "ERROR"),
            "WARN": count(lines, "WARN"),
            "INFO": count(lines, "INFO"),
        },
        "error_count": count(lines, "ERROR"),
        "warning_count": count(lines, "WARN"),
        "patterns": patterns,
        "findings": issues(result).iter().map(|issue| json!({
            "rule": issue.rule,
            "severity": word(issue.severity),
            "detail": issue.detail,
        })).collect::<Vec<_>>(),
    })
}

/// What went wrong in it.
pub(crate) fn errors(result: &ScenarioResult, facts: &Facts, log_file: &str) -> Value {
    let said = result
        .log
        .iter()
        .enumerate()
        .filter(|(_, line)| level(line) == "ERROR");
    json!({
        "test_id": result.test_id,
        "log_file": log_file,
        "analysis_time": facts.completed.to_string(),
        "errors": said.map(|(at, line)| json!({ "line": at + 1, "text": line })).collect::<Vec<_>>(),
        "violations": result.breaches,
        "missed_controls": result.missed_controls().collect::<Vec<_>>(),
        "note": result.note,
    })
}

/// The same for people.
pub(crate) fn analysis(result: &ScenarioResult) -> String {
    let mut text = Page::default();
    text.add(format!(
        "# The log of {}\n\n{} lines, {} of them errors, {} warnings.\n\n",
        result.test_id,
        result.log.len(),
        count(&result.log, "ERROR"),
        count(&result.log, "WARN"),
    ));
    let issues = issues(result);
    if issues.is_empty() {
        text.add("No rule is broken.\n");
    }
    for issue in issues {
        text.add(format!(
            "- **{}** ({}): {}\n",
            issue.rule,
            word(issue.severity),
            issue.detail
        ));
    }
    text.done()
}

/// A line without its numbers, so that lines of one kind are counted together.
fn pattern(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars().take(120) {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(c),
        }
    }
    out
}
