//! `report.html`: one file with everything in it, that needs no network.
//!
//! What stands in it came from scenarios, which may say anything: every text goes through [`escape`].

mod decisions;
mod findings;
mod numbers;
mod runs;

use crate::Verdict;
use crate::report::draw::DrawError;
use crate::report::facts::word;
use crate::report::overall::Overall;
use crate::report::page::{Page, escape};
use crate::report::{Report, configs, draw};

const STYLE: &str = include_str!("style.css");

/// Names of the sections, and their anchors.
const SECTIONS: [(&str, &str); 10] = [
    ("failed", "What failed"),
    ("risks", "Risks"),
    ("coverage", "Coverage"),
    ("scenarios", "Scenarios"),
    ("latencies", "Latencies"),
    ("growth", "Growth"),
    ("runs", "Runs"),
    ("roadmap", "Roadmap"),
    ("decision", "Go or no go"),
    ("pending", "Pending"),
];

/// The whole page.
pub(crate) fn of(report: &Report) -> Result<String, DrawError> {
    let mut page = Page::default();
    page.line("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">");
    page.line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    // Nothing is fetched, whatever a text may contain.
    page.line("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.line(format!(
        "<title>{} {}</title>",
        report.overall,
        escape(&report.run_id)
    ));
    page.line(format!("<style>\n{STYLE}</style>\n</head>\n<body>\n<main>"));
    head(&mut page, report);
    findings::section(&mut page, report);
    open(&mut page, "risks");
    page.line("<p class=\"soft\">Impact is what would break, likelihood is what the trials say. The same picture lies beside this page as SVG and PNG.</p>");
    figure(&mut page, "", &draw::risk(&report.risks)?);
    decisions::risks(&mut page, report);
    close(&mut page);
    open(&mut page, "coverage");
    figure(&mut page, "", &draw::coverage(&numbers::bars(report))?);
    close(&mut page);
    numbers::scenarios(&mut page, report);
    numbers::latencies(&mut page, report)?;
    numbers::growth(&mut page, report)?;
    runs::section(&mut page, report)?;
    open(&mut page, "roadmap");
    figure(&mut page, "", &draw::roadmap(&report.risks)?);
    close(&mut page);
    decisions::section(&mut page, report);
    decisions::pending(&mut page, report);
    page.line("</main>\n</body>\n</html>");
    Ok(page.done())
}

fn head(page: &mut Page, report: &Report) {
    let facts = &report.facts;
    let colour = match report.overall {
        Overall::Pass => "green",
        Overall::PassWithConcerns => "yellow",
        Overall::NeedsWork => "orange",
        Overall::Fail => "red",
    };
    page.line(format!(
        "<header>\n<h1>Stageflow stress suite</h1>\n<div class=\"verdict {colour}\">{}</div>",
        report.overall
    ));
    page.line(format!("<p>{}</p>", escape(&configs::summary(report))));
    if let Some(stopped) = &facts.stopped {
        page.line(format!(
            "<p class=\"orange\"><b>It did not come to its end: {}.</b></p>",
            escape(stopped)
        ));
    }
    let (detected, controls) = configs::controls(facts);
    let trials: u64 = facts.results.iter().map(|result| result.trials).sum();
    let violations: u64 = facts.results.iter().map(|result| result.violations).sum();
    page.line("<div class=\"facts\">");
    for (value, name) in [
        (
            format!("{} / {}", facts.count(Verdict::Pass), facts.results.len()),
            "scenarios passed",
        ),
        (format!("{detected} / {controls}"), "controls noticed"),
        (grouped(trials), "trials"),
        (grouped(violations), "violations"),
        (format!("{:.0} s", facts.wall.as_secs_f64()), "wall time"),
        (facts.seed.to_string(), "seed"),
        (word(facts.tier), "tier"),
    ] {
        page.line(format!(
            "<div><b>{}</b><span>{name}</span></div>",
            escape(&value)
        ));
    }
    let environment = &facts.environment;
    let machine = format!(
        "{} · {} · {} · {} cores · {} GB · {} · commit {}",
        report.run_id,
        facts.started,
        environment.cpu,
        environment.cores,
        environment.memory_gb,
        environment.rustc_version,
        environment.commit.get(..12).unwrap_or(&environment.commit),
    );
    page.line(format!(
        "</div>\n<p class=\"soft\">{}</p>\n<nav>",
        escape(&machine)
    ));
    for (anchor, name) in SECTIONS {
        page.line(format!("<a href=\"#{anchor}\">{name}</a>"));
    }
    page.line("</nav>\n</header>");
}

/// Starts a section by its anchor.
fn open(page: &mut Page, anchor: &str) {
    let name = SECTIONS
        .iter()
        .find(|known| known.0 == anchor)
        .map_or(anchor, |known| known.1);
    page.line(format!("<section id=\"{anchor}\">\n<h2>{name}</h2>"));
}

fn close(page: &mut Page) {
    page.line("</section>");
}

fn figure(page: &mut Page, caption: &str, svg: &str) {
    page.line("<figure>");
    if !caption.is_empty() {
        page.line(format!("<figcaption>{}</figcaption>", escape(caption)));
    }
    page.line(svg);
    page.line("</figure>");
}

/// A row of cells that are HTML already; `n` marks the columns of numbers.
fn row(page: &mut Page, tag: &str, cells: &[String], numbers: &[usize]) {
    page.add("<tr>");
    for (at, cell) in cells.iter().enumerate() {
        let class = match at {
            _ if numbers.contains(&at) => " class=\"n\"",
            0 if tag == "td" => " class=\"id\"",
            _ => "",
        };
        page.add(format!("<{tag}{class}>{cell}</{tag}>"));
    }
    page.line("</tr>");
}

/// A table of cells that are HTML already.
fn table(
    page: &mut Page,
    head: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) {
    page.line("<div class=\"scroll\"><table>\n<thead>");
    let head: Vec<String> = head.iter().map(|cell| escape(cell)).collect();
    row(page, "th", &head, numbers);
    page.line("</thead>\n<tbody>");
    for cells in rows {
        row(page, "td", &cells, numbers);
    }
    page.line("</tbody>\n</table></div>");
}

/// The colour of a severity, as a class.
const fn class_of(severity: crate::Severity) -> &'static str {
    match severity {
        crate::Severity::Critical => "red",
        crate::Severity::High => "orange",
        crate::Severity::Medium => "yellow",
        crate::Severity::Low => "green",
        crate::Severity::Info => "blue",
    }
}

/// The colour of a verdict, as a class.
const fn class_of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "green",
        Verdict::Pending => "grey",
        Verdict::Interrupted => "yellow",
        Verdict::Fail | Verdict::TimedOut => "red",
        Verdict::Error => "orange",
    }
}

/// `1234567` as `1 234 567`, with spaces that do not break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{A0}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, said) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(number).replace('\u{A0}', " "), said);
        }
    }
}
