//! Pixels, and what is put on them.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, RGBColor, ShapeStyle, TextStyle};

use super::PAPER;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DrawError(String);

impl DrawError {
    pub(crate) fn new(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Where a text is, from the point it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Right,
    Left,
    Centre,
}

/// A picture that is being drawn.
pub(crate) struct Canvas<'c, B: DrawingBackend> {
    area: &'c DrawingArea<B, Shift>,
}

impl<'c, B: DrawingBackend> Canvas<'c, B> {
    pub(crate) const fn new(area: &'c DrawingArea<B, Shift>) -> Self {
        Self { area }
    }

    pub(crate) fn paper(&self) -> Result<(), DrawError> {
        self.area.fill(&PAPER).map_err(DrawError::new)
    }

    /// A text whose middle line is at `y`.
    pub(crate) fn text(
        &self,
        text: &str,
        (x, y): (f64, f64),
        at: At,
        size: f64,
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        let h = match at {
            At::Right => HPos::Left,
            At::Left => HPos::Right,
            At::Centre => HPos::Center,
        };
        let style = TextStyle::from(("sans-serif", size).into_font())
            .color(&colour)
            .pos(Pos::new(h, VPos::Center));
        self.area
            .draw(&Text::new(text.to_owned(), pixel((x, y)), style))
            .map_err(DrawError::new)
    }

    pub(crate) fn line(
        &self,
        points: &[(f64, f64)],
        colour: RGBColor,
        width: u32,
    ) -> Result<(), DrawError> {
        let points: Vec<_> = points.iter().copied().map(pixel).collect();
        let style = colour.stroke_width(width);
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(DrawError::new)
    }

    /// A line of short pieces.
    pub(crate) fn dashes(
        &self,
        (from, to): ((f64, f64), (f64, f64)),
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let pieces = (dx.hypot(dy) / 10.0).ceil().max(1.0);
        let at = |share: f64| (from.0 + dx * share / pieces, from.1 + dy * share / pieces);
        for piece in 0..pieces as u32 {
            let start = f64::from(piece);
            self.line(&[at(start), at(start + 0.5)], colour, 1)?;
        }
        Ok(())
    }

    pub(crate) fn fill(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        self.rectangle(from, to, colour.filled())
    }

    pub(crate) fn frame(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        self.rectangle(from, to, PAPER.filled())?;
        self.rectangle(from, to, colour.stroke_width(2))
    }

    fn rectangle(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        style: ShapeStyle,
    ) -> Result<(), DrawError> {
        self.area
            .draw(&Rectangle::new([pixel(from), pixel(to)], style))
            .map_err(DrawError::new)
    }

    /// A disc, or a ring if it is hollow.
    pub(crate) fn circle(
        &self,
        at: (f64, f64),
        radius: f64,
        colour: RGBColor,
        hollow: bool,
    ) -> Result<(), DrawError> {
        let style = if hollow {
            colour.stroke_width(3)
        } else {
            colour.filled()
        };
        let radius = radius.round().max(2.0) as i32;
        self.area
            .draw(&Circle::new(pixel(at), radius, style))
            .map_err(DrawError::new)
    }

    /// A line that ends with a head.
    pub(crate) fn arrow(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        colour: RGBColor,
    ) -> Result<(), DrawError> {
        self.line(&[from, to], colour, 1)?;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let back = (to.0 - 8.0 * ux, to.1 - 8.0 * uy);
        let head = vec![
            pixel(to),
            pixel((back.0 - 4.0 * uy, back.1 + 4.0 * ux)),
            pixel((back.0 + 4.0 * uy, back.1 - 4.0 * ux)),
        ];
        self.area
            .draw(&Polygon::new(head, colour.filled()))
            .map_err(DrawError::new)
    }
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

/// A text that is not longer than so many characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A number as an axis shows it.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if size >= 1e6 => format!("{:.3}M", value / 1e6).replace(".000", ""),
        _ if size >= 1e4 => format!("{:.0}k", value / 1e3),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.1}").replace(".0", ""),
        _ => format!("{value:.2e}"),
    }
}
