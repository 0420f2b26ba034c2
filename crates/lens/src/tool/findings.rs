//! Shows what was found.

use comfy_table::{ContentArrangement, Table};
use stageflow_lens::Findings;

use crate::reading::Read;

/// Whether nothing was found.
pub(crate) fn show(read: &Read, json: bool) -> Result<bool, serde_json::Error> {
    let findings = &read.findings;
    if json {
        for finding in findings.iter() {
            println!("{}", serde_json::to_string(finding)?);
        }
        return Ok(findings.is_empty() && read.torn.is_empty());
    }
    if read.more > 0 {
        println!("  and {}", counted(read.more, "more event"));
    }
    if !findings.is_empty() {
        println!("{}", table(read));
    }
    for torn in &read.torn {
        println!("{torn}");
    }
    let hidden = findings.total() - findings.iter().len() as u64;
    if hidden > 0 {
        println!("{} not shown", counted(hidden, "more finding"));
    }
    println!("{}", summary(findings));
    Ok(findings.is_empty() && read.torn.is_empty())
}

fn summary(findings: &Findings) -> String {
    format!(
        "{} of {}: {}",
        counted(findings.records(), "record"),
        counted(findings.runs(), "run"),
        counted(findings.total(), "finding"),
    )
}

/// One thing, or so many things.
fn counted(count: u64, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

fn table(read: &Read) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "severity", "finding", "run", "stage", "events", "what", "look at",
    ]);
    for finding in read.findings.iter() {
        let events = match (finding.first_seq, finding.last_seq) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let row = [
            finding.severity.as_str(),
            finding.kind.as_str(),
            &finding.run_id,
            finding.stage.as_deref().unwrap_or_default(),
            &events,
            &finding.what,
            finding.look,
        ];
        table.add_row(row.map(printable));
    }
    table
}

/// What a record says does not draw on the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
