//! Runs drawn from their records: as a graph, and over time. SVG without anything from elsewhere, for light and dark pages.

mod dag;
mod gantt;
mod layers;
mod svg;

use std::time::Duration;

use stageflow_context::Outcome;

pub use dag::dag;
pub use gantt::gantt;

use crate::{RunStory, StageStory};

/// How something that ended like this looks: a class of the style sheet.
const fn class(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Succeeded) => "ok",
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Denied) => "bad",
        Some(Outcome::Cancelled) => "stop",
        Some(Outcome::Skipped) => "skip",
        _ => "open",
    }
}

/// In a word. What was never started in a run that is over never will be.
fn word(run: &RunStory, stage: &StageStory) -> &'static str {
    match stage.outcome() {
        Some(outcome) => outcome.as_str(),
        None if stage.is_open() => "running",
        None if run.is_over() => "not started",
        None => "waiting",
    }
}

fn is_fine(stage: &StageStory) -> bool {
    matches!(stage.outcome(), Some(Outcome::Succeeded | Outcome::Skipped))
}

/// A text that is not longer than so many characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn time(time: Duration) -> String {
    format!("{time:.1?}")
}

/// One line on top of a drawing.
fn headline(run: &RunStory) -> String {
    let outcome = match &run.ended {
        None => "has not ended",
        Some(ended) => ended.outcome.map_or("ended", |outcome| outcome.as_str()),
    };
    let lost = match run.lost() {
        0 => String::new(),
        lost => format!(", {lost} events lost"),
    };
    format!(
        "{} · {outcome} · {}{lost}",
        short(&run.pipeline, 40),
        time(run.duration())
    )
}
