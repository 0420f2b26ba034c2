//! How much of each tier was run.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::At;
use super::{BLUE, Canvas, DrawError, GREEN, GRID, INK, ORANGE, RED, SOFT};

/// What became of the scenarios of one tier.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) interrupted: usize,
    pub(crate) pending: usize,
    pub(crate) left_out: usize,
}

impl Bar {
    fn parts(&self) -> [(usize, &'static str, RGBColor); 5] {
        [
            (self.passed, "passed", GREEN),
            (self.failed, "failed", RED),
            (self.interrupted, "interrupted", ORANGE),
            (self.pending, "pending", SOFT),
            (self.left_out, "not asked for", BLUE),
        ]
    }
}

pub(super) fn size(bars: &[Bar]) -> (u32, u32) {
    (760, 50 + 34 * bars.len() as u32)
}

pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    bars: &[Bar],
) -> Result<(), DrawError> {
    let total = |bar: &Bar| bar.parts().iter().map(|part| part.0).sum::<usize>();
    let most = bars.iter().map(total).max().unwrap_or(1).max(1) as f64;
    let mut x = 90.0;
    for (_, name, colour) in Bar::default().parts() {
        canvas.fill((x, 10.0), (x + 14.0, 24.0), colour)?;
        canvas.text(name, (x + 20.0, 17.0), At::Right, 15.0, INK)?;
        x += 46.0 + 8.0 * name.len() as f64;
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = 40.0 + 34.0 * row as f64;
        canvas.text(&bar.name, (80.0, y + 12.0), At::Left, 16.0, INK)?;
        let mut x = 90.0;
        canvas.line(&[(x, y - 2.0), (x, y + 26.0)], GRID, 1)?;
        for (count, _, colour) in bar.parts().into_iter().filter(|part| part.0 > 0) {
            let width = 560.0 * count as f64 / most;
            canvas.fill((x, y), (x + width - 2.0, y + 24.0), colour)?;
            x += width;
        }
        let said: Vec<String> = bar
            .parts()
            .iter()
            .filter(|part| part.0 > 0)
            .map(|part| part.0.to_string())
            .collect();
        canvas.text(
            &said.join(" + "),
            (x + 8.0, y + 12.0),
            At::Right,
            15.0,
            SOFT,
        )?;
    }
    Ok(())
}
