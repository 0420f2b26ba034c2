//! A DAG, drawn in layers: each stage one to the right of the last it waits for.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{At, short};
use super::{BLUE, Canvas, DrawError, GREEN, INK, ORANGE, RED, SOFT};
use crate::RunPicture;

/// The most stages a reader can follow.
const MOST: usize = 60;
const BOX: (f64, f64) = (168.0, 40.0);
const GAP: (f64, f64) = (56.0, 18.0);
const MARGIN: f64 = 16.0;

/// What a stage's end looks like.
pub(super) fn colour(outcome: &str) -> RGBColor {
    match outcome {
        "completed" | "ok" | "succeeded" => GREEN,
        "skipped" | "not started" | "not_started" => SOFT,
        "cancelled" | "aborted" => ORANGE,
        "failed" | "timed_out" | "timed out" | "panicked" | "denied" => RED,
        _ => BLUE,
    }
}

/// Whether a stage ended as it should.
pub(super) fn is_fine(outcome: &str) -> bool {
    colour(outcome) == GREEN
}

/// Where each stage goes.
pub(super) struct Layout<'p> {
    picture: &'p RunPicture,
    /// Those that are drawn, with their column and row.
    places: Vec<Option<(usize, usize)>>,
    columns: usize,
    rows: usize,
}

impl<'p> Layout<'p> {
    pub(super) fn of(picture: &'p RunPicture) -> Self {
        let shown = shown(picture);
        let mut layers: Vec<usize> = Vec::with_capacity(picture.stages.len());
        let mut heights: Vec<usize> = Vec::new();
        let mut places = Vec::with_capacity(picture.stages.len());
        for (at, stage) in picture.stages.iter().enumerate() {
            // A picture is data: what it says about later stages is not believed.
            let above = stage
                .after
                .iter()
                .filter_map(|up| layers.get(*up).map(|layer| (up, *layer)));
            let layer = above
                .filter(|(up, _)| shown[**up])
                .map(|(_, layer)| layer + 1)
                .max()
                .unwrap_or(0);
            layers.push(layer);
            places.push(shown[at].then(|| {
                if heights.len() <= layer {
                    heights.resize(layer + 1, 0);
                }
                heights[layer] += 1;
                (layer, heights[layer] - 1)
            }));
        }
        let rows = heights.iter().copied().max().unwrap_or(1);
        Self {
            picture,
            places,
            columns: heights.len().max(1),
            rows,
        }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        let width = 2.0 * MARGIN + self.columns as f64 * (BOX.0 + GAP.0) - GAP.0;
        let height = 2.0 * MARGIN + self.rows as f64 * (BOX.1 + GAP.1) + 8.0;
        (width.max(320.0) as u32, height as u32)
    }

    pub(super) fn draw<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>) -> Result<(), DrawError> {
        for (at, stage) in self.picture.stages.iter().enumerate() {
            let Some(to) = self.corner(at) else { continue };
            for up in &stage.after {
                if let Some(from) = self.corner(*up) {
                    let start = (from.0 + BOX.0, from.1 + BOX.1 / 2.0);
                    canvas.arrow(start, (to.0 - 2.0, to.1 + BOX.1 / 2.0), SOFT)?;
                }
            }
        }
        for (at, stage) in self.picture.stages.iter().enumerate() {
            let Some((x, y)) = self.corner(at) else {
                continue;
            };
            canvas.frame((x, y), (x + BOX.0, y + BOX.1), colour(&stage.outcome))?;
            let middle = x + BOX.0 / 2.0;
            canvas.text(
                &short(&stage.name, 21),
                (middle, y + 12.0),
                At::Centre,
                15.0,
                INK,
            )?;
            let outcome = short(&stage.outcome, 22);
            canvas.text(
                &outcome,
                (middle, y + 28.0),
                At::Centre,
                13.0,
                colour(&stage.outcome),
            )?;
        }
        let hidden = self.places.iter().filter(|place| place.is_none()).count();
        if hidden > 0 {
            let (_, height) = self.size();
            let said = format!("{hidden} more stages are not drawn");
            canvas.text(
                &said,
                (MARGIN, f64::from(height) - 10.0),
                At::Right,
                13.0,
                SOFT,
            )?;
        }
        Ok(())
    }

    fn corner(&self, at: usize) -> Option<(f64, f64)> {
        let (column, row) = (*self.places.get(at)?)?;
        let below = self
            .places
            .iter()
            .flatten()
            .filter(|place| place.0 == column)
            .count();
        // A short column stands in the middle of the tall ones.
        let lift = (self.rows - below) as f64 / 2.0;
        Some((
            MARGIN + column as f64 * (BOX.0 + GAP.0),
            MARGIN + (row as f64 + lift) * (BOX.1 + GAP.1),
        ))
    }
}

/// Of a large DAG, what went wrong and what it waited for comes first.
fn shown(picture: &RunPicture) -> Vec<bool> {
    let mut shown = vec![picture.stages.len() <= MOST; picture.stages.len()];
    let mut left = MOST;
    let mut show = |at: usize, shown: &mut Vec<bool>| {
        if left > 0 && shown.get(at) == Some(&false) {
            shown[at] = true;
            left -= 1;
        }
    };
    for (at, stage) in picture.stages.iter().enumerate() {
        if !is_fine(&stage.outcome) {
            show(at, &mut shown);
            for up in stage.after.iter().take(4) {
                show(*up, &mut shown);
            }
        }
    }
    for at in 0..shown.len() {
        show(at, &mut shown);
    }
    shown
}
