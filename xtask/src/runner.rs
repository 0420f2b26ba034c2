//! Runs steps one after the other and reports them in one shape.
//!
//! A failed step never stops the next one: whoever waits for a whole run wants to know everything that is wrong.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::step::{Job, Step};

/// When a program's output is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it comes.
    Live,
    /// Only if the program fails, after it has ended.
    OnFailure,
}

/// How many lines of a failed program's output are printed; the log file has all of them.
const TAIL: usize = 300;

/// Runs all steps, prints the table and the closing line, and returns how many failed.
pub(crate) fn run(steps: Vec<Step>, show: Show, target: &Path) -> anyhow::Result<usize> {
    let total = steps.len();
    let mut lines = Vec::with_capacity(total);
    for (index, step) in steps.into_iter().enumerate() {
        print!("[{:>2}/{total}] {} ", index + 1, step.name);
        if show == Show::Live {
            println!();
        }
        io::stdout().flush()?;
        let started = Instant::now();
        // A step that could not even start is a failed step, and the others still have something to say.
        let outcome = run_job(step.job, show).unwrap_or_else(|error| Err(format!("{error:#}")));
        let line = Line {
            name: step.name,
            passed: outcome.is_ok(),
            took: started.elapsed(),
        };
        if show == Show::OnFailure || outcome.is_err() {
            println!("{} ({:.1} s)", line.result(), line.took.as_secs_f64());
        }
        if let Err(output) = outcome {
            report_failure(&line.name, &output, &step.advice, target)?;
        }
        lines.push(line);
    }
    println!("\n{}", table(&lines));
    let failed = lines.iter().filter(|line| !line.passed).count();
    println!("{}", closing_line(total - failed, failed));
    Ok(failed)
}

/// One finished step.
struct Line {
    name: String,
    passed: bool,
    took: Duration,
}

impl Line {
    fn result(&self) -> &'static str {
        if self.passed { "ok" } else { "FAILED" }
    }
}

/// `Err` carries what the step had to say about its failure.
fn run_job(job: Job, show: Show) -> anyhow::Result<Result<(), String>> {
    match job {
        Job::Check(check) => {
            let problems = check()?;
            Ok(if problems.is_empty() {
                Ok(())
            } else {
                Err(problems.join("\n"))
            })
        }
        Job::Program(command) if show == Show::Live => run_live(command),
        Job::Program(command) => run_quiet(command),
    }
}

fn run_live(mut command: Command) -> anyhow::Result<Result<(), String>> {
    println!("$ {}", shown(&command));
    let status = command.status().with_context(|| cannot_start(&command))?;
    Ok(if status.success() {
        Ok(())
    } else {
        Err(format!("ended with {status}"))
    })
}

/// Both streams go through one pipe, so that messages stay in the order in which they were written.
fn run_quiet(mut command: Command) -> anyhow::Result<Result<(), String>> {
    let (mut reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| cannot_start(&command))?;
    let mut output = format!("$ {}\n", shown(&command)).into_bytes();
    // The command still owns two write ends; while they are open the reader never sees the end.
    drop(command);
    reader.read_to_end(&mut output)?;
    let status = child.wait()?;
    Ok(if status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output).into_owned())
    })
}

fn report_failure(name: &str, output: &str, advice: &str, target: &Path) -> anyhow::Result<()> {
    let lines: Vec<&str> = output.lines().collect();
    println!("---- {name} ----");
    if lines.len() > TAIL {
        let log = target
            .join("xtask")
            .join(format!("{}.log", file_name(name)));
        fs::create_dir_all(target.join("xtask"))?;
        fs::write(&log, output)?;
        println!(
            "(the last {TAIL} of {} lines; all of them: {})",
            lines.len(),
            log.display()
        );
        for line in telling(&lines[..lines.len() - TAIL]) {
            println!("{line}");
        }
        println!("...");
    }
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        println!("{line}");
    }
    println!("---- what to do: {advice}\n");
    Ok(())
}

/// The lines before the tail that say what failed, and what each says next.
fn telling<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    const MOST: usize = 60;

    let tells = |line: &str| {
        line.ends_with(" FAILED") || line.contains(" panicked at ") || line.starts_with("error")
    };
    (0..lines.len())
        .filter(|at| tells(lines[*at]) || (*at > 0 && lines[*at - 1].contains(" panicked at ")))
        .map(|at| lines[at])
        .take(MOST)
        .collect()
}

fn table(lines: &[Line]) -> String {
    let width = lines
        .iter()
        .map(|line| line.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut table = format!("{:width$}  {:6}  {:>8}\n", "step", "result", "seconds");
    table.push_str(&"-".repeat(width + 18));
    table.push('\n');
    for line in lines {
        let seconds = line.took.as_secs_f64();
        let _ = writeln!(
            table,
            "{:width$}  {:6}  {seconds:>8.1}",
            line.name,
            line.result()
        );
    }
    table
}

fn closing_line(passed: usize, failed: usize) -> String {
    format!("{passed} passed, {failed} failed")
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(key, value)| {
            Some(format!(
                "{}={}",
                key.to_string_lossy(),
                quoted(&value?.to_string_lossy())
            ))
        })
        .collect();
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", shown(command))
}

fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_silently(steps: Vec<Step>) -> usize {
        run(steps, Show::OnFailure, &std::env::temp_dir()).unwrap()
    }

    #[test]
    fn what_failed_is_told_even_if_it_lies_far_back() {
        let lines = [
            "test a ... ok",
            "test b ... FAILED",
            "thread 'b' panicked at b.rs:1:",
            "left is not right",
            "stack backtrace:",
            "error: test failed",
        ];
        assert_eq!(telling(&lines), [lines[1], lines[2], lines[3], lines[5]]);
    }

    #[test]
    fn a_failed_step_is_counted_and_the_next_one_still_runs() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let steps = vec![
            Step::program("false", Command::new("false"), "nothing"),
            Step::check("finds", || Ok(vec!["a problem".to_owned()]), "nothing"),
            Step::check(
                "runs",
                move || Ok(sender.send(()).map(|()| Vec::new())?),
                "nothing",
            ),
            Step::program("true", Command::new("true"), "nothing"),
        ];
        assert_eq!(run_silently(steps), 2);
        receiver.try_recv().unwrap();
    }

    #[test]
    fn a_failed_programs_two_streams_keep_their_order() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let output = run_quiet(command).unwrap().unwrap_err();
        assert!(output.ends_with("\none\ntwo\nthree\n"), "{output}");
    }

    #[test]
    fn the_closing_line_has_nothing_but_two_counts() {
        assert_eq!(closing_line(3, 1), "3 passed, 1 failed");
    }

    #[test]
    fn the_table_has_a_line_for_each_step() {
        let took = Duration::from_millis(1250);
        let lines = [Line {
            name: "clippy".to_owned(),
            passed: false,
            took,
        }];
        let expected =
            "step    result   seconds\n------------------------\nclippy  FAILED       1.2\n";
        assert_eq!(table(&lines), expected);
    }
}
