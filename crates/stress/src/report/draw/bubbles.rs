//! The risk matrix.

use std::collections::BTreeMap;

use plotters::prelude::DrawingBackend;

use super::canvas::{At, short};
use super::{Canvas, DrawError, GRID, INK, PAPER, SOFT, of_severity};
use crate::Severity;
use crate::report::facts::word;
use crate::report::risk::Risk;

const LEFT: f64 = 90.0;
const TOP: f64 = 80.0;
const CELL: (f64, f64) = (216.0, 128.0);
const LIKELY: [&str; 5] = [
    "1 proven rare",
    "2 rare",
    "3 not known",
    "4 seen",
    "5 common",
];
const IMPACT: [&str; 5] = ["1 none", "2 low", "3 medium", "4 high", "5 critical"];

/// Draws it: bubbles of one cell stand below each other, each with its label, so that none hides another.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    risks: &[Risk],
) -> Result<(), DrawError> {
    canvas.paper()?;
    axes(canvas)?;
    legend(canvas)?;
    let mut cells: BTreeMap<(u8, u8), Vec<&Risk>> = BTreeMap::new();
    for risk in risks {
        let cell = (risk.likelihood.clamp(1, 5), risk.impact.clamp(1, 5));
        cells.entry(cell).or_default().push(risk);
    }
    let scale = scale(&cells);
    for ((likelihood, impact), risks) in &cells {
        let corner = (
            LEFT + CELL.0 * f64::from(likelihood - 1),
            TOP + CELL.1 * f64::from(5 - impact),
        );
        cell(canvas, corner, risks, scale)?;
    }
    Ok(())
}

/// Columns and rows for so many.
fn shape(count: usize) -> (usize, usize) {
    let columns = match count {
        0..=4 => 1,
        5..=10 => 2,
        _ => 3,
    };
    (columns, count.div_ceil(columns))
}

/// Pixels for the root of a week: areas are in proportion everywhere, and the fullest cell still fits.
fn scale(cells: &BTreeMap<(u8, u8), Vec<&Risk>>) -> f64 {
    let fits = cells.values().map(|risks| {
        let (_, rows) = shape(risks.len());
        let room = (CELL.1 / rows as f64 / 2.0 - 3.0).max(3.0);
        let largest = risks
            .iter()
            .map(|risk| risk.effort_weeks)
            .fold(0.1, f64::max);
        room / largest.sqrt()
    });
    fits.fold(30.0, f64::min)
}

fn cell<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    corner: (f64, f64),
    risks: &[&Risk],
    scale: f64,
) -> Result<(), DrawError> {
    let (columns, rows) = shape(risks.len());
    let (width, height) = (CELL.0 / columns as f64, CELL.1 / rows as f64);
    let largest = risks
        .iter()
        .map(|risk| risk.effort_weeks.sqrt())
        .fold(0.1, f64::max)
        * scale;
    for (at, risk) in risks.iter().enumerate() {
        let (column, row) = (at / rows, at % rows);
        let x = corner.0 + width * column as f64 + largest + 8.0;
        let y = corner.1 + height * (row as f64 + 0.5);
        let radius = scale * risk.effort_weeks.sqrt();
        canvas.circle(
            (x, y),
            radius,
            of_severity(risk.severity),
            risk.status == "closed",
        )?;
        // Smaller where there is less room.
        let (size, letter) = if columns == 1 {
            (15.0, 7.6)
        } else {
            (13.0, 6.4)
        };
        let room = ((width - 2.0 * largest - 16.0) / letter).max(3.0) as usize;
        let label = match columns {
            1 => short(&risk.id, room),
            // The first part of an id is its name.
            _ => short(risk.id.split('-').next().unwrap_or(&risk.id), room),
        };
        let (from, wide) = (
            x + largest + 5.0,
            letter * 1.1 * label.chars().count() as f64,
        );
        // A quadrant's line may not run through a label.
        canvas.fill((from - 2.0, y - 8.0), (from + wide, y + 8.0), PAPER)?;
        canvas.text(&label, (from, y), At::Right, size, INK)?;
    }
    Ok(())
}

fn axes<B: DrawingBackend>(canvas: &Canvas<'_, B>) -> Result<(), DrawError> {
    let (right, bottom) = (LEFT + 5.0 * CELL.0, TOP + 5.0 * CELL.1);
    for at in 0..=5 {
        let x = LEFT + CELL.0 * f64::from(at);
        let y = TOP + CELL.1 * f64::from(at);
        canvas.line(&[(x, TOP), (x, bottom)], GRID, 1)?;
        canvas.line(&[(LEFT, y), (right, y)], GRID, 1)?;
    }
    // The quadrants meet in the middle of the scale.
    let (middle_x, middle_y) = (LEFT + 2.5 * CELL.0, TOP + 2.5 * CELL.1);
    canvas.dashes(((middle_x, TOP), (middle_x, bottom)), SOFT)?;
    canvas.dashes(((LEFT, middle_y), (right, middle_y)), SOFT)?;
    for (at, name) in LIKELY.iter().enumerate() {
        let x = LEFT + CELL.0 * (at as f64 + 0.5);
        canvas.text(name, (x, bottom + 20.0), At::Centre, 16.0, SOFT)?;
    }
    for (at, name) in IMPACT.iter().enumerate() {
        let y = bottom - CELL.1 * (at as f64 + 0.5);
        canvas.text(name, (LEFT - 8.0, y), At::Left, 16.0, SOFT)?;
    }
    canvas.text(
        "likelihood",
        (f64::midpoint(LEFT, right), bottom + 46.0),
        At::Centre,
        18.0,
        INK,
    )?;
    canvas.text("impact", (LEFT - 8.0, TOP - 18.0), At::Left, 18.0, INK)
}

fn legend<B: DrawingBackend>(canvas: &Canvas<'_, B>) -> Result<(), DrawError> {
    canvas.text("Risk matrix", (LEFT, 28.0), At::Right, 26.0, INK)?;
    let mut x = 420.0;
    for severity in [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ] {
        canvas.circle((x, 28.0), 8.0, of_severity(severity), false)?;
        canvas.text(&word(severity), (x + 14.0, 28.0), At::Right, 16.0, INK)?;
        x += 100.0;
    }
    canvas.circle((x, 28.0), 8.0, SOFT, true)?;
    canvas.text("hollow: closed", (x + 14.0, 28.0), At::Right, 16.0, INK)?;
    canvas.text(
        "area: weeks of work",
        (x + 150.0, 28.0),
        At::Right,
        16.0,
        INK,
    )
}
