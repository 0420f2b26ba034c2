//! A run over time.

use std::time::Duration;

use super::svg::{Anchor, Svg};
use super::{class, headline, is_fine, short, time, word};
use crate::{AttemptStory, OperationStory, PartStory, RunStory, StageStory};

const ROW: f64 = 22.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 940.0;
const WIDTH: f64 = 1040.0;
const TOP: f64 = 66.0;

/// More stages, and more things inside one stage, are left out, and the picture says so.
const MOST_STAGES: usize = 120;
const MOST_INSIDE: usize = 24;

/// The run over time, SVG: a row for each stage with its attempts and the waits before and between them, and below it rows for
/// its parts and its calls to models and tools. Of a run with more than 120 stages those that did not go well are drawn
/// first, and the picture says how many it leaves out.
#[must_use]
pub fn gantt(run: &RunStory) -> String {
    let mut chart = Chart {
        svg: Svg::new(),
        y: TOP,
        end: run.duration().max(run.last).max(Duration::from_nanos(1)),
    };
    let stages = rows(run);
    for stage in &stages {
        chart.stage(run, stage);
    }
    let hidden = run.stages.len() - stages.len();
    if hidden > 0 {
        chart.more(8.0, hidden, "stages");
    }
    let bottom = chart.y;
    chart
        .svg
        .text((8.0, 26.0), Anchor::Start, "", &headline(run));
    for tick in 0..=5_u32 {
        let x = LEFT + (RIGHT - LEFT) * f64::from(tick) / 5.0;
        chart.svg.line((x, TOP - 6.0), (x, bottom), "grid");
        let said = time(chart.end * tick / 5);
        chart
            .svg
            .text((x, TOP - 12.0), Anchor::Middle, "soft small", &said);
    }
    chart.svg.finish(
        (WIDTH, bottom + 16.0),
        &format!("{} over time", headline(run)),
    )
}

/// The stages that are drawn, those that started first on top, those that never did at the end.
fn rows(run: &RunStory) -> Vec<&StageStory> {
    let mut stages: Vec<&StageStory> = run.stages.iter().collect();
    if stages.len() > MOST_STAGES {
        stages.sort_by_key(|stage| is_fine(stage));
        stages.truncate(MOST_STAGES);
    }
    let key = |stage: &&StageStory| {
        let at = stage.started().or_else(|| stage.ended());
        (at.is_none(), at)
    };
    stages.sort_by_key(key);
    stages
}

struct Chart {
    svg: Svg,
    y: f64,
    end: Duration,
}

impl Chart {
    fn x(&self, at: Duration) -> f64 {
        let share = at.as_secs_f64() / self.end.as_secs_f64();
        LEFT + (RIGHT - LEFT) * share.clamp(0.0, 1.0)
    }

    fn stage(&mut self, run: &RunStory, stage: &StageStory) {
        let word = word(run, stage);
        self.label(8.0, &stage.name, 30);
        let Some(first) = stage.started() else {
            let at = stage.ended().map_or(LEFT, |at| self.x(at));
            let said = match stage
                .skipped
                .as_ref()
                .and_then(|skipped| skipped.because.as_ref())
            {
                Some(because) => format!("{word} because of {}", short(because, 30)),
                None => word.to_owned(),
            };
            // Beside its moment, on the side that has room.
            let (x, anchor) = if at > 640.0 {
                (at - 4.0, Anchor::End)
            } else {
                (at + 4.0, Anchor::Start)
            };
            self.svg
                .text((x, self.y + 15.0), anchor, "soft small", &said);
            self.y += ROW;
            return;
        };
        if let Some(ready) = run.ready(stage).filter(|ready| *ready < first) {
            self.bar(
                ready,
                first,
                "wait",
                &format!("{}: waits {}", stage.name, time(first - ready)),
            );
        }
        self.attempts(&stage.name, &stage.attempts);
        self.end_of(stage);
        self.y += ROW;
        self.inside(stage);
    }

    /// What layers made of it, and when.
    fn end_of(&mut self, stage: &StageStory) {
        let Some(ended) = stage.ended() else { return };
        let x = self.x(ended);
        let said = match (stage.attempt_count(), stage.outcome()) {
            (attempts, Some(outcome)) if attempts > 1 => format!("{outcome}, {attempts} attempts"),
            (_, Some(outcome)) if !is_fine(stage) => outcome.as_str().to_owned(),
            _ => return,
        };
        let class = format!("small {}", class(stage.outcome()));
        self.svg
            .text((x + 4.0, self.y + 15.0), Anchor::Start, &class, &said);
    }

    fn inside(&mut self, stage: &StageStory) {
        for part in stage.parts.iter().take(MOST_INSIDE) {
            self.part(part);
        }
        let hidden = stage.parts.len().saturating_sub(MOST_INSIDE) as u64 + stage.more_parts;
        if hidden > 0 {
            self.more(24.0, hidden, "parts");
        }
        for operation in stage.operations.iter().take(MOST_INSIDE) {
            self.operation(operation);
        }
        let hidden =
            stage.operations.len().saturating_sub(MOST_INSIDE) as u64 + stage.more_operations;
        if hidden > 0 {
            self.more(24.0, hidden, "calls");
        }
    }

    fn part(&mut self, part: &PartStory) {
        self.label(24.0, &part.path, 28);
        self.attempts(&part.path, &part.attempts);
        self.y += ROW;
    }

    fn operation(&mut self, operation: &OperationStory) {
        let name = match operation.kind.as_str() {
            "other" => operation.name.clone(),
            kind => format!("{kind} {}", operation.name),
        };
        self.label(24.0, &name, 28);
        if let Some(started) = operation.started {
            let to = operation.ended.unwrap_or(self.end);
            let used = operation.used;
            let said = format!(
                "{name}: {}, {} tokens in, {} out",
                time(to.saturating_sub(started)),
                used.input_tokens,
                used.output_tokens
            );
            self.bar(started, to, class(operation.outcome), &said);
        }
        self.y += ROW;
    }

    fn attempts(&mut self, name: &str, attempts: &[AttemptStory]) {
        let mut before: Option<Duration> = None;
        for attempt in attempts {
            let Some(started) = attempt.started else {
                continue;
            };
            if let Some(before) = before.filter(|before| *before < started) {
                self.bar(
                    before,
                    started,
                    "wait",
                    &format!("{name}: waits {}", time(started - before)),
                );
            }
            let to = attempt.ended.unwrap_or(self.end);
            let outcome = attempt.ending.outcome;
            let said = outcome.map_or("has not ended", |outcome| outcome.as_str());
            let title = format!(
                "{name}, attempt {}: {said}, {}",
                attempt.number,
                time(to.saturating_sub(started))
            );
            self.bar(started, to, class(outcome), &title);
            before = attempt.ended;
        }
    }

    fn bar(&mut self, from: Duration, to: Duration, class: &str, title: &str) {
        let (from, to) = (self.x(from), self.x(to));
        // Short things are seen, too.
        let width = (to - from).max(2.0);
        self.svg
            .rect((from, self.y + 4.0), (width, ROW - 8.0), class, title);
    }

    fn label(&mut self, x: f64, name: &str, most: usize) {
        let class = if x > 8.0 { "soft small" } else { "" };
        self.svg
            .text((x, self.y + 15.0), Anchor::Start, class, &short(name, most));
    }

    fn more(&mut self, x: f64, hidden: impl std::fmt::Display, what: &str) {
        let said = format!("and {hidden} more {what}");
        self.svg
            .text((x, self.y + 15.0), Anchor::Start, "soft small", &said);
        self.y += ROW;
    }
}
