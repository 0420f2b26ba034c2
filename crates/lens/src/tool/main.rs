//! What is in a journal: the program behind `cargo xtask logs`.

#![expect(
    clippy::print_stdout,
    reason = "a program talks on its standard output"
)]

mod findings;
mod picture;
mod reading;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stageflow_events::EventRecord;
use stageflow_lens::{ReadError, WideEvents, WideLine, line};

use self::reading::{Read, Wanted};

/// Looks at journals: what does not fit together in them, what happened under an id, a run drawn again.
///
/// Ends with 0 if nothing was found, with 1 if something was, with 2 if a journal cannot be read.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask logs", bin_name = "cargo xtask logs")]
struct Args {
    /// Journals: a folder of one, or its files; several of one sink
    #[arg(required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Everything that happened in this run, in order; the beginning of its id will do
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Everything that happened under this correlation id, in order; its beginning will do
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// Draws the run as a graph into this file: the run asked for, or the first that did not go well
    #[arg(long, value_name = "FILE.svg")]
    dag: Option<PathBuf>,
    /// Draws the run over time into this file
    #[arg(long, value_name = "FILE.svg")]
    gantt: Option<PathBuf>,
    /// A line of JSON for each run and each stage, and nothing else
    #[arg(long)]
    wide: bool,
    /// Findings and events as lines of JSON
    #[arg(long)]
    json: bool,
}

/// The end of a run is held back for so many records.
const LINGER: u64 = 4096;

const SOMETHING: u8 = 1;
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match look(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(SOMETHING),
        Err(error) => {
            println!("error: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Whether nothing was found.
fn look(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    let files = reading::files(&args.files)?;
    if args.wide {
        wide(args, &files)?;
        return Ok(true);
    }
    let wanted = Wanted::new(args.run.clone(), args.correlation.clone());
    let read = reading::read(&files, wanted)?;
    if read.is_wanted() {
        show(&read.events, args.json)?;
    }
    picture::draw(&read, args.dag.as_deref(), args.gantt.as_deref())?;
    let is_fine = findings::show(&read, args.json)?;
    Ok(is_fine)
}

fn show(events: &[EventRecord], json: bool) -> Result<(), serde_json::Error> {
    let mut run = "";
    for event in events {
        if json {
            println!("{}", serde_json::to_string(event)?);
            continue;
        }
        if event.run_id != run {
            run = &event.run_id;
            println!("{run}  {}  {}", event.pipeline, event.correlation_id);
        }
        println!("  {}", line(event));
    }
    Ok(())
}

fn wide(args: &Args, files: &[PathBuf]) -> Result<(), ReadError> {
    let wanted = Wanted::new(args.run.clone(), args.correlation.clone());
    let mut wide = WideEvents::new(|line: &WideLine| {
        println!("{}", serde_json::to_string(line).unwrap_or_default());
        Ok(())
    });
    // Of several files the end of a run may come before what is older.
    let mut ends = VecDeque::new();
    for (number, record) in (0_u64..).zip(reading::records(files)?) {
        while ends.front().is_some_and(|(due, _)| *due <= number) {
            ends.pop_front().iter().for_each(|(_, end)| wide.add(end));
        }
        match record {
            Ok(record) if !wanted.fits(&record) => {}
            Ok(record) if record.kind == "run.ended" => ends.push_back((number + LINGER, record)),
            Ok(record) => wide.add(&record),
            Err(error) if Read::goes_on_after(&error) => {}
            Err(error) => return Err(error),
        }
    }
    ends.iter().for_each(|(_, end)| wide.add(end));
    let _stdout = wide.finish();
    Ok(())
}
