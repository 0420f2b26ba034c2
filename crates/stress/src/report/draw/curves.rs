//! Histograms, and growth.

use plotters::prelude::DrawingBackend;

use super::canvas::{At, number, short};
use super::{BLUE, Canvas, DrawError, GRID, INK, ORANGE, RED, SOFT, YELLOW};
use crate::harness::stats::quantile;
use crate::{Samples, Scaling};

const BINS: usize = 48;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 540.0;

/// How samples are spread. What lies beyond the 99.5th percentile is in the last bin, or one straggler would flatten the rest.
pub(super) fn histogram<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    name: &str,
    samples: &Samples,
) -> Result<(), DrawError> {
    let values: Vec<f64> = samples
        .values
        .iter()
        .copied()
        .filter(|one| one.is_finite())
        .collect();
    let title = format!(
        "{} ({}), {} samples",
        short(name, 40),
        samples.unit,
        samples.taken
    );
    canvas.text(&title, (LEFT, 16.0), At::Right, 17.0, INK)?;
    let (top, bottom) = (84.0, 216.0);
    if values.is_empty() {
        return canvas.text("no samples", (LEFT, 120.0), At::Right, 15.0, SOFT);
    }
    let (low, high) = (quantile(&values, 0.0), quantile(&values, 0.995));
    let width = ((high - low) / BINS as f64).max(f64::MIN_POSITIVE);
    let mut bins = [0_usize; BINS];
    for value in &values {
        bins[(((value - low) / width) as usize).min(BINS - 1)] += 1;
    }
    let most = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let step = (RIGHT - LEFT) / BINS as f64;
    for share in [0.5, 1.0] {
        let y = bottom - (bottom - top) * share;
        canvas.line(&[(LEFT, y), (RIGHT, y)], GRID, 1)?;
        canvas.text(&number(most * share), (LEFT - 6.0, y), At::Left, 14.0, SOFT)?;
    }
    for (at, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let x = LEFT + step * at as f64;
        let y = bottom - (bottom - top) * *count as f64 / most;
        canvas.fill((x, y.min(bottom - 1.0)), (x + step - 1.0, bottom), BLUE)?;
    }
    canvas.line(&[(LEFT, bottom), (RIGHT, bottom)], SOFT, 1)?;
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let x = LEFT + (RIGHT - LEFT) * share;
        canvas.line(&[(x, bottom), (x, bottom + 4.0)], SOFT, 1)?;
        let said = number(low + (high - low) * share);
        canvas.text(&said, (x, bottom + 15.0), At::Centre, 14.0, SOFT)?;
    }
    let said = format!(
        "largest {} {}; the last bar has all beyond",
        number(quantile(&values, 1.0)),
        samples.unit
    );
    canvas.text(&said, (RIGHT, bottom + 34.0), At::Left, 13.0, SOFT)?;
    quantiles(canvas, &values, (low, high), (top, bottom))
}

/// Lines at the usual ones, each label on a line of its own so that none is on another.
fn quantiles<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    values: &[f64],
    (low, high): (f64, f64),
    (top, bottom): (f64, f64),
) -> Result<(), DrawError> {
    let marks = [
        (0.5, "p50", YELLOW),
        (0.95, "p95", ORANGE),
        (0.99, "p99", RED),
    ];
    for (row, (share, name, colour)) in marks.into_iter().enumerate() {
        let value = quantile(values, share);
        let place = ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let x = LEFT + (RIGHT - LEFT) * place;
        let y = 36.0 + 16.0 * row as f64;
        canvas.line(&[(x, y), (x, bottom)], colour, 1)?;
        let said = format!("{name} {}", number(value));
        let (at, x) = if place > 0.8 {
            (At::Left, x - 5.0)
        } else {
            (At::Right, x + 5.0)
        };
        canvas.text(&said, (x, y.min(top)), at, 14.0, colour)?;
    }
    Ok(())
}

/// Cost over size, both as logarithms, with the line through them and a linear one to compare.
pub(super) fn scaling<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    scaling: &Scaling,
) -> Result<(), DrawError> {
    let title = format!(
        "{}: exponent {:.2}",
        short(&scaling.name, 36),
        scaling.slope
    );
    canvas.text(&title, (LEFT, 16.0), At::Right, 17.0, INK)?;
    let [low, high] = scaling.ci95;
    let said = format!("95 % interval {low:.2} to {high:.2}; dashed: linear growth");
    canvas.text(&said, (LEFT, 36.0), At::Right, 14.0, SOFT)?;
    let usable = |point: &&[f64; 2]| point.iter().all(|one| one.is_finite() && *one > 0.0);
    let points: Vec<(f64, f64)> = scaling
        .points
        .iter()
        .filter(usable)
        .map(|[x, y]| (x.log10(), y.log10()))
        .collect();
    let Some(frame) = Frame::around(&points) else {
        return canvas.text("no points", (LEFT, 120.0), At::Right, 15.0, SOFT);
    };
    frame.axes(canvas, &scaling.unit)?;
    let mean =
        |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let centre = (mean(|point| point.0), mean(|point| point.1));
    let along = |slope: f64| {
        [frame.x.0, frame.x.1].map(|x| frame.clamped((x, centre.1 + slope * (x - centre.0))))
    };
    let linear = along(1.0);
    canvas.dashes((linear[0], linear[1]), SOFT)?;
    if scaling.slope.is_finite() {
        canvas.line(&along(scaling.slope), ORANGE, 2)?;
    }
    for point in &points {
        canvas.circle(frame.pixel(*point), 5.0, BLUE, false)?;
    }
    Ok(())
}

/// What part of the plane is seen, in logarithms.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    const TOP: f64 = 56.0;
    const BOTTOM: f64 = 270.0;

    fn around(points: &[(f64, f64)]) -> Option<Self> {
        let span = |of: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(of);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.fold(f64::NEG_INFINITY, f64::max);
            (low - 0.15, high + 0.15)
        };
        (!points.is_empty()).then(|| Self {
            x: span(|point| point.0),
            y: span(|point| point.1),
        })
    }

    fn pixel(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + (RIGHT - LEFT) * (x - self.x.0) / (self.x.1 - self.x.0),
            Self::BOTTOM - (Self::BOTTOM - Self::TOP) * (y - self.y.0) / (self.y.1 - self.y.0),
        )
    }

    fn clamped(&self, (x, y): (f64, f64)) -> (f64, f64) {
        self.pixel((x, y.clamp(self.y.0, self.y.1)))
    }

    fn axes<B: DrawingBackend>(&self, canvas: &Canvas<'_, B>, unit: &str) -> Result<(), DrawError> {
        for power in self.x.0.ceil() as i32..=self.x.1.floor() as i32 {
            let (x, _) = self.pixel((f64::from(power), self.y.0));
            canvas.line(&[(x, Self::TOP), (x, Self::BOTTOM)], GRID, 1)?;
            canvas.text(
                &decade(power),
                (x, Self::BOTTOM + 14.0),
                At::Centre,
                14.0,
                SOFT,
            )?;
        }
        for power in self.y.0.ceil() as i32..=self.y.1.floor() as i32 {
            let (_, y) = self.pixel((self.x.0, f64::from(power)));
            canvas.line(&[(LEFT, y), (RIGHT, y)], GRID, 1)?;
            canvas.text(&decade(power), (LEFT - 6.0, y), At::Left, 14.0, SOFT)?;
        }
        canvas.line(
            &[
                (LEFT, Self::TOP),
                (LEFT, Self::BOTTOM),
                (RIGHT, Self::BOTTOM),
            ],
            SOFT,
            1,
        )?;
        canvas.text("size", (RIGHT, Self::BOTTOM + 34.0), At::Left, 14.0, SOFT)?;
        canvas.text(
            &format!("cost in {unit}"),
            (LEFT, Self::BOTTOM + 34.0),
            At::Right,
            14.0,
            SOFT,
        )
    }
}

/// A power of ten.
fn decade(power: i32) -> String {
    match power {
        0..=3 => format!("{}", 10_i64.pow(power as u32)),
        4..=5 => format!("{}k", 10_i64.pow(power as u32 - 3)),
        6..=8 => format!("{}M", 10_i64.pow(power as u32 - 6)),
        -3..=-1 => format!("{:.*}", power.unsigned_abs() as usize, 10_f64.powi(power)),
        _ => format!("1e{power}"),
    }
}
