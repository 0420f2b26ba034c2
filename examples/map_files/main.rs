//! Counts the words of many files at a time: a map over paths, and a reduce over what it gives. One of the files cannot be
//! read as text; it is left out, and the report says so.
//!
//! ```sh
//! cargo run --example map_files
//! ```

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stageflow::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// A line for each file, and the words of all of them.
type Counts = (Vec<String>, usize);

/// How many words a file has.
#[derive(Debug)]
struct Counted {
    name: String,
    words: usize,
}

/// Finds the files of a folder, in the order of their names.
async fn list(_cx: StageCx, folder: Arc<PathBuf>) -> Result<Vec<Arc<PathBuf>>, Stop> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(&*folder)?.collect();
    let mut paths: Vec<_> = entries?
        .iter()
        .map(|entry| Arc::new(entry.path()))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Counts the words of one file.
async fn count(_cx: StageCx, path: Arc<PathBuf>) -> Result<Counted, Stop> {
    let text = std::fs::read_to_string(&*path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Counted {
        name: name.into_owned(),
        words: text.split_whitespace().count(),
    })
}

/// One line for each file that was read, and the sum.
fn add_up((mut lines, sum): Counts, file: &Counted) -> Counts {
    lines.push(format!("{:>6} {}", file.words, file.name));
    (lines, sum + file.words)
}

fn pipeline(width: NonZeroUsize) -> Result<Pipeline<PathBuf, Counts>, Failure> {
    let mut p = Pipeline::builder("words");
    let folder = p.input::<PathBuf>();
    let paths = p.stage("list", stage_fn(list)).after(folder);
    let count = map(stage_fn(count)).width(width).skip_failed();
    // Reading files blocks, so the whole map goes to a thread that may.
    let counts = p.stage("count", count).blocking().after(paths);
    let sum = p
        .stage("sum", reduce((Vec::new(), 0), add_up))
        .after(counts);
    Ok(p.output(sum).build()?)
}

fn write_files(folder: &Path) -> Result<(), Failure> {
    for file in 1..=9 {
        std::fs::write(folder.join(format!("{file}.txt")), "word ".repeat(file))?;
    }
    std::fs::write(folder.join("noise.bin"), [0xff, 0xfe, 0xfd])?;
    Ok(())
}

async fn words(folder: &Path) -> Result<String, Failure> {
    let pipeline = pipeline(NonZeroUsize::new(4).ok_or("a width of zero")?)?;
    let report = Engine::new()
        .run(&pipeline, folder.to_owned(), RunOptions::new())
        .await;
    let (lines, sum) = report.output()?;
    let mut told = lines.clone();
    told.push(format!("{sum:>6} in all"));
    let count = report.stage("count").ok_or("there is no such stage")?;
    for left_out in count.parts_without_value() {
        told.push(format!("left out: count{left_out}"));
    }
    Ok(told.join("\n") + "\n")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let told = words(folder.path()).await?;
    std::io::stdout().write_all(told.as_bytes())?;
    Ok(())
}

#[tokio::test]
async fn every_file_is_counted_and_the_one_that_is_no_text_is_named() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let told = words(folder.path()).await?;
    let wanted = "     1 1.txt
     2 2.txt
     3 3.txt
     4 4.txt
     5 5.txt
     6 6.txt
     7 7.txt
     8 8.txt
     9 9.txt
    45 in all
left out: count[9]: failed
";
    assert_eq!(told, wanted);
    Ok(())
}
