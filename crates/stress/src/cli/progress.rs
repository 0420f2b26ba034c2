//! What is seen while the suite runs: bars on a terminal, plain lines without one. All of it on the standard error, so that
//! the standard output has nothing but the result.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::harness::runner::Now;
use crate::{ScenarioResult, Verdict};

/// Bars, or lines.
#[derive(Debug)]
pub(crate) struct Progress {
    look: Look,
    total: usize,
}

#[derive(Debug)]
enum Look {
    Bars {
        all: ProgressBar,
        one: ProgressBar,
    },
    /// Said by this.
    Lines(fn(&str)),
}

impl Progress {
    /// For so many scenarios.
    pub(crate) fn new(total: usize) -> Self {
        let look = if std::io::stderr().is_terminal() {
            bars(total)
        } else {
            Look::Lines(say)
        };
        Self { look, total }
    }

    /// Nothing at all.
    #[cfg(test)]
    pub(crate) const fn silent() -> Self {
        Self {
            look: Look::Lines(|_| {}),
            total: 0,
        }
    }

    /// A scenario starts.
    pub(crate) fn start(&self, id: &str, at: usize) {
        match &self.look {
            Look::Bars { one, .. } => {
                one.set_prefix(id.to_owned());
                one.set_message(String::new());
            }
            Look::Lines(say) => say(&format!("[{}/{}] {id} ...", at + 1, self.total)),
        }
    }

    /// It starts once more: no line is worth that.
    pub(crate) fn again(&self, id: &str) {
        if let Look::Bars { one, .. } = &self.look {
            one.set_prefix(format!("{id}, again"));
        }
    }

    /// It is still going on.
    pub(crate) fn tell(&self, now: Now<'_>) {
        if let Look::Bars { one, .. } = &self.look {
            one.set_message(match now {
                Now::Healthy { trials } => format!("{trials} trials"),
                Now::Control { name, number, of } => format!("control {number}/{of}: {name}"),
            });
        }
    }

    /// It ended.
    pub(crate) fn finish(&self, result: &ScenarioResult) {
        let line = line(result);
        if !result.was_run() {
            if let Look::Bars { all, .. } = &self.look {
                all.inc(1);
            }
            return;
        }
        match &self.look {
            Look::Bars { all, .. } => {
                all.inc(1);
                if !matches!(result.verdict, Verdict::Pass | Verdict::Pending) {
                    all.println(line);
                }
            }
            Look::Lines(say) => say(&line),
        }
    }

    /// Everything ended.
    pub(crate) fn end(&self) {
        if let Look::Bars { all, one } = &self.look {
            one.finish_and_clear();
            all.finish_and_clear();
        }
    }
}

fn bars(total: usize) -> Look {
    let both = MultiProgress::new();
    let all = both.add(ProgressBar::new(total as u64));
    let one = both.add(ProgressBar::new_spinner());
    // The templates are constants; a bar without its style still is a bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}") {
        all.set_style(style);
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:18} {msg}") {
        one.set_style(style);
    }
    one.enable_steady_tick(Duration::from_millis(120));
    Look::Bars { all, one }
}

/// How one scenario ended, in a line.
fn line(result: &ScenarioResult) -> String {
    format!(
        "      {:18} {}: {} trials, {} violations, controls {}/{}, {:.1} s",
        result.test_id,
        result.verdict,
        result.trials,
        result.violations,
        result.detected_controls(),
        result.controls.len(),
        (result.duration_ms + result.controls_ms) / 1e3,
    )
}

#[expect(
    clippy::print_stderr,
    reason = "progress is told on the standard error"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
