//! A run as a graph.

use super::layers::Layers;
use super::svg::{Anchor, Svg};
use super::{class, headline, short, time, word};
use crate::{RunStory, StageStory};

const BOX: (f64, f64) = (184.0, 46.0);
const GAP: (f64, f64) = (56.0, 16.0);
const MARGIN: f64 = 16.0;
const TOP: f64 = 44.0;

/// The run as a graph, SVG: every stage with how it ended, its attempts and how long it took, and what it waited for. What
/// the engine resolves by itself (arms, merges, joins) has a dashed frame. Of a run with more than 120 stages those that did
/// not go well are drawn first, and the picture says how many it leaves out.
#[must_use]
pub fn dag(run: &RunStory) -> String {
    let layers = Layers::of(run);
    let rows = layers.heights.iter().copied().max().unwrap_or(0);
    let columns = layers.heights.len();
    let mut svg = Svg::new();
    svg.text((MARGIN, 26.0), Anchor::Start, "", &headline(run));
    let corner = |at: usize| -> Option<(f64, f64)> {
        let (column, row) = (*layers.places.get(at)?)?;
        // A short column stands in the middle of the tall ones.
        let lift = (rows - layers.heights[column]) as f64 / 2.0;
        let x = MARGIN + column as f64 * (BOX.0 + GAP.0);
        Some((x, TOP + (row as f64 + lift) * (BOX.1 + GAP.1)))
    };
    for (at, stage) in run.stages.iter().enumerate() {
        let Some(to) = corner(at) else { continue };
        for from in stage.after.iter().filter_map(|up| corner(*up)) {
            let start = (from.0 + BOX.0, from.1 + BOX.1 / 2.0);
            svg.arrow(start, (to.0 - 2.0, to.1 + BOX.1 / 2.0));
        }
    }
    for (at, stage) in run.stages.iter().enumerate() {
        if let Some(corner) = corner(at) {
            node(&mut svg, run, stage, corner);
        }
    }
    let width = (2.0 * MARGIN + columns as f64 * (BOX.0 + GAP.0) - GAP.0).max(420.0);
    let mut height = TOP + rows as f64 * (BOX.1 + GAP.1) + MARGIN;
    if layers.hidden() > 0 {
        let said = format!("and {} more stages", layers.hidden());
        svg.text((MARGIN, height), Anchor::Start, "soft small", &said);
        height += 20.0;
    }
    svg.finish((width, height), &format!("{} as a graph", headline(run)))
}

fn node(svg: &mut Svg, run: &RunStory, stage: &StageStory, (x, y): (f64, f64)) {
    let colour = class(stage.outcome());
    let is_started = !matches!(stage.role.as_str(), "arm" | "join" | "merge");
    let frame = if is_started { "box" } else { "box dashed" };
    svg.rect(
        (x, y),
        BOX,
        &format!("{frame} {colour}"),
        &title(run, stage),
    );
    let middle = x + BOX.0 / 2.0;
    svg.text(
        (middle, y + 19.0),
        Anchor::Middle,
        "",
        &short(&stage.name, 24),
    );
    let mut said = vec![word(run, stage).to_owned()];
    if is_started && stage.role != "stage" {
        said.insert(0, stage.role.clone());
    }
    if stage.attempt_count() > 1 {
        said.push(format!("{} attempts", stage.attempt_count()));
    }
    if let (Some(started), Some(ended)) = (stage.started(), stage.ended()) {
        said.push(time(ended.saturating_sub(started)));
    }
    let class = format!("small {colour}");
    svg.text(
        (middle, y + 36.0),
        Anchor::Middle,
        &class,
        &short(&said.join(" · "), 32),
    );
}

/// All there is to say when it is pointed at.
fn title(run: &RunStory, stage: &StageStory) -> String {
    let mut said = vec![format!(
        "{} ({}): {}",
        stage.name,
        stage.role,
        word(run, stage)
    )];
    if let Some(skipped) = &stage.skipped
        && let Some(because) = &skipped.because
    {
        said.push(format!("because of {because}"));
    }
    if let Some(error) = stage.ending().and_then(|ending| ending.error.as_deref()) {
        said.push(short(error, 300));
    }
    said.join("; ")
}
