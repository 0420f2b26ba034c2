//! Looks at journals from a shell: `journal verify [--head HEAD] PATH...`. Behind `cargo xtask journal`.

#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on its standard output"
)]

use std::process::ExitCode;

use stageflow_events::journal::{self, ChainError, JournalHead, Verified};

const USAGE: &str = "usage: journal verify [--head HEAD] PATH...

Says for each journal, a folder or one of its files, whether it is as it was written, and otherwise which line is the
first that is not. HEAD is what `Journal::head` gave; with it, an end that was cut off is found, too.

Exit codes: 0 all of them are, 1 one is not, 2 the command makes no sense.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((head, paths)) = parsed(&arguments) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut all = ExitCode::SUCCESS;
    for path in paths {
        let result = match &head {
            Some(head) => journal::verify_to(path, head),
            None => journal::verify(path),
        };
        if result.is_err() {
            all = ExitCode::FAILURE;
        }
        println!("{path}: {}", told(&result));
    }
    all
}

/// The head to compare with, and the paths.
fn parsed(arguments: &[String]) -> Option<(Option<JournalHead>, &[String])> {
    let (verb, rest) = arguments.split_first()?;
    let (head, paths) = match rest {
        [option, head, paths @ ..] if option == "--head" => (Some(head.parse().ok()?), paths),
        paths => (None, paths),
    };
    let is_sound = verb == "verify" && !paths.is_empty();
    (is_sound && !paths.iter().any(|path| path.starts_with('-'))).then_some((head, paths))
}

fn told(result: &Result<Verified, ChainError>) -> String {
    match result {
        Ok(verified) => {
            let Verified {
                files,
                records,
                chained,
                start,
                head,
                ..
            } = verified;
            let from = start.n() + 1;
            format!(
                "as it was written; files {files}, records {records}, chained {chained}, numbers from {from}; head {head}"
            )
        }
        Err(error) => error.to_string(),
    }
}
