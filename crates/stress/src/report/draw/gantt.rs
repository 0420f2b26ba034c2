//! Bars over time: the stages of a run, the weeks of the roadmap.

use plotters::prelude::DrawingBackend;

use super::canvas::{At, number, short};
use super::graph::{colour, is_fine};
use super::{BLUE, Canvas, DrawError, GREEN, GRID, INK, ORANGE, RED, SOFT, YELLOW};
use crate::report::risk::Risk;
use crate::{RunPicture, StagePicture};

const MOST: usize = 40;
const ROW: f64 = 24.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 34.0;

/// Of a long list, what did not go well comes first.
fn rows(picture: &RunPicture) -> Vec<&StagePicture> {
    let mut rows: Vec<&StagePicture> = picture.stages.iter().collect();
    if rows.len() > MOST {
        rows.sort_by_key(|stage| is_fine(&stage.outcome));
        rows.truncate(MOST);
    }
    rows
}

pub(super) fn size(picture: &RunPicture) -> (u32, u32) {
    (960, (TOP + ROW * rows(picture).len() as f64 + 26.0) as u32)
}

pub(super) fn run<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    picture: &RunPicture,
) -> Result<(), DrawError> {
    let rows = rows(picture);
    let ends = picture
        .stages
        .iter()
        .filter_map(|stage| stage.span_us)
        .map(|span| span[1]);
    let end = ends.filter(|end| end.is_finite()).fold(1.0, f64::max);
    let bottom = TOP + ROW * rows.len() as f64;
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let x = LEFT + (RIGHT - LEFT) * share;
        canvas.line(&[(x, TOP - 4.0), (x, bottom)], GRID, 1)?;
        let said = format!("{} µs", number(end * share));
        canvas.text(&said, (x, TOP - 14.0), At::Centre, 14.0, SOFT)?;
    }
    for (at, stage) in rows.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let middle = y + ROW / 2.0;
        canvas.text(
            &short(&stage.name, 27),
            (LEFT - 8.0, middle),
            At::Left,
            15.0,
            INK,
        )?;
        let Some([from, to]) = stage.span_us else {
            canvas.text(&stage.outcome, (LEFT + 6.0, middle), At::Right, 14.0, SOFT)?;
            continue;
        };
        let x = |time: f64| LEFT + (RIGHT - LEFT) * (time / end).clamp(0.0, 1.0);
        let (from, to) = (x(from), x(to).max(x(from) + 3.0));
        canvas.fill((from, y + 4.0), (to, y + ROW - 4.0), colour(&stage.outcome))?;
        if !is_fine(&stage.outcome) {
            // Beside the bar, on the side that has room.
            let (at, x) = if to > 760.0 {
                (At::Left, from - 6.0)
            } else {
                (At::Right, to + 6.0)
            };
            let at = if from < LEFT + 100.0 { At::Right } else { at };
            let x = if from < LEFT + 100.0 { to + 6.0 } else { x };
            canvas.text(
                &short(&stage.outcome, 12),
                (x, middle),
                at,
                14.0,
                colour(&stage.outcome),
            )?;
        }
    }
    let hidden = picture.stages.len() - rows.len();
    if hidden > 0 {
        let said = format!("{hidden} more stages are not drawn");
        canvas.text(&said, (LEFT, bottom + 12.0), At::Right, 13.0, SOFT)?;
    }
    Ok(())
}

/// What a phase is called, and the weeks it takes, and the gate at its end.
const PHASES: [(&str, u32, u32, &str); 4] = [
    ("P0 implementation", 1, 2, "beta"),
    ("Integration and testing", 3, 4, "proceed"),
    ("P1 implementation", 5, 6, "GA readiness"),
    ("Final review", 7, 7, "GA"),
];

pub(super) const fn roadmap_size() -> (u32, u32) {
    (960, 320)
}

/// Seven weeks: four phases with their gates, and under them the four findings the work is for.
pub(super) fn roadmap<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    risks: &[Risk],
) -> Result<(), DrawError> {
    let week = |number: f64| LEFT + (RIGHT - 60.0 - LEFT) * number / 7.0;
    for at in 0..=7 {
        let x = week(f64::from(at));
        canvas.line(&[(x, TOP), (x, 300.0)], GRID, 1)?;
        if at < 7 {
            let said = format!("week {}", at + 1);
            canvas.text(
                &said,
                (week(f64::from(at) + 0.5), TOP - 14.0),
                At::Centre,
                14.0,
                SOFT,
            )?;
        }
    }
    for (row, (name, from, to, gate)) in PHASES.into_iter().enumerate() {
        let y = TOP + 6.0 + 32.0 * row as f64;
        let (start, end) = (week(f64::from(from - 1)), week(f64::from(to)));
        canvas.text(name, (LEFT - 8.0, y + 10.0), At::Left, 15.0, INK)?;
        canvas.fill((start, y), (end, y + 20.0), BLUE)?;
        canvas.circle((end, y + 10.0), 6.0, ORANGE, false)?;
        canvas.text(
            &format!("gate: {gate}"),
            (end + 12.0, y + 10.0),
            At::Right,
            14.0,
            INK,
        )?;
    }
    for (row, risk) in risks.iter().take(4).enumerate() {
        let y = TOP + 142.0 + 30.0 * row as f64;
        let first = if risk.phase.starts_with("P0") {
            0.0
        } else {
            4.0
        };
        let (start, end) = (week(first), week(first + risk.effort_weeks.min(2.0)));
        let colour = match risk.status.as_str() {
            "closed" => GREEN,
            "open" => RED,
            _ => YELLOW,
        };
        canvas.text(
            &short(&risk.title, 27),
            (LEFT - 8.0, y + 8.0),
            At::Left,
            15.0,
            INK,
        )?;
        canvas.fill((start, y), (end, y + 16.0), colour)?;
        canvas.text(&risk.status, (end + 8.0, y + 8.0), At::Right, 14.0, colour)?;
    }
    Ok(())
}
