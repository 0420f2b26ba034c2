//! The program behind `cargo xtask logs`: what it says, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(feature = "tool")]

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;

use stageflow_events::journal::{Format, Journal, JournalOptions};
use stageflow_events::{Entry, Exporter as _};
use stageflow_lens::{EXAMPLE, read};

/// A folder of this test's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn of(test: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("stageflow-logs-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn logs(files: &[&Path], arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stageflow-logs"))
        .args(files)
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_sound_journal_has_no_findings() {
    let folder = Folder::of("sound");
    let (code, said) = logs(&[&folder.file("a.jsonl", EXAMPLE)], &[]);
    assert_eq!(
        (code, &*said),
        (Some(0), "52 records of 2 runs: 0 findings\n")
    );
}

/// As `Journal` writes it: several files, with lines of its own, in either form.
#[tokio::test]
async fn the_folder_of_a_journal_is_read() {
    const SMALL: NonZeroU64 = NonZeroU64::new(8192).unwrap();
    for form in [Format::Native, Format::CloudEvents] {
        let folder = Folder::of(&format!("folder-{form:?}"));
        let options = JournalOptions::new(&folder.0).rotate_at(SMALL).format(form);
        let mut journal = Journal::create(options).unwrap();
        for record in read::lines(EXAMPLE.as_bytes()) {
            let entry = Entry::Record(record.unwrap().into());
            journal.export(&[entry]).await.unwrap();
        }
        drop(journal);
        assert!(read::files(&folder.0).unwrap().len() > 2);
        let (code, said) = logs(&[&folder.0], &[]);
        assert_eq!(
            (code, &*said),
            (Some(0), "52 records of 2 runs: 0 findings\n")
        );
    }
}

#[test]
fn findings_end_with_one_and_what_cannot_be_read_with_two() {
    let folder = Folder::of("ends");
    let holed: String = EXAMPLE
        .lines()
        .enumerate()
        .filter(|(at, _)| *at != 7)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    let (code, said) = logs(&[&folder.file("a.jsonl", &holed)], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("gap") && said.contains("event 7 is missing"),
        "{said}"
    );
    let (code, said) = logs(&[&folder.0.join("none.jsonl")], &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("error: SF0551: "), "{said}");
    let (code, said) = logs(&[&folder.file("b.jsonl", "no journal\nat all\n")], &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("SF0552"), "{said}");
    // What was cut off is said, and the rest is looked at.
    let (code, said) = logs(
        &[&folder.file("c.jsonl", &EXAMPLE[..EXAMPLE.len() - 40])],
        &[],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("SF0552") && said.contains("never ended"),
        "{said}"
    );
}

#[test]
fn one_id_gives_everything_that_happened_in_order() {
    let folder = Folder::of("id");
    let half = EXAMPLE.lines().count() / 2;
    let lines: Vec<String> = EXAMPLE.lines().map(|line| format!("{line}\n")).collect();
    let old = folder.file("old.jsonl", &lines[..half].concat());
    let new = folder.file("new.jsonl", &lines[half..].concat());
    let last: serde_json::Value = serde_json::from_str(&lines[lines.len() - 1]).unwrap();
    for (flag, field) in [("--run", "run_id"), ("--correlation", "correlation_id")] {
        let id = last[field].as_str().unwrap();
        let (code, said) = logs(&[&new, &old], &[flag, id]);
        assert_eq!(code, Some(0), "{said}");
        let numbers: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("  #")?.split(' ').next())
            .collect();
        let wanted: Vec<String> = (0..29).map(|seq| seq.to_string()).collect();
        assert_eq!(numbers, wanted, "{said}");
        assert!(
            said.contains("operation.ended  ask[1] (attempt 3)  outcome=failed"),
            "{said}"
        );
    }
}

#[test]
fn runs_are_drawn_and_told_in_wide_lines() {
    let folder = Folder::of("draws");
    let journal = folder.file("a.jsonl", EXAMPLE);
    let (dag, gantt) = (folder.0.join("dag.svg"), folder.0.join("gantt.svg"));
    let (code, said) = logs(
        &[&journal],
        &[
            "--dag",
            dag.to_str().unwrap(),
            "--gantt",
            gantt.to_str().unwrap(),
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    for picture in [dag, gantt] {
        let picture = std::fs::read_to_string(picture).unwrap();
        assert!(picture.starts_with("<svg ") && picture.contains("failed"));
    }
    let (code, said) = logs(&[&journal], &["--wide"]);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "run.wide").count(), 2);
    assert_eq!(kinds.len(), 10);
    for line in lines.iter().filter(|line| line["type"] == "stage.wide") {
        let number = |name: &str| line[name].as_u64().unwrap();
        assert_eq!(
            number("queue_us") + number("run_us") + number("retry_us"),
            number("total_us"),
            "{line}"
        );
    }
    let (code, said) = logs(
        &[&journal],
        &["--json", "--run", "run_none", "--dag", "x.svg"],
    );
    assert_eq!(code, Some(2), "{said}");
}
