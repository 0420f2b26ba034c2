//! Pictures, drawn once and written as SVG or PNG.
//!
//! The SVG of a page takes its colours from the page: each colour of the palette is the name of a CSS variable too, so that
//! one picture does for the light and the dark theme. The files beside the page keep the palette's own colours.

mod bubbles;
mod canvas;
mod coverage;
mod curves;
mod gantt;
mod graph;

use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea as _;
use plotters::style::{FontStyle, RGBColor, register_font};

pub(crate) use canvas::{Canvas, DrawError};
pub(crate) use coverage::Bar;

use crate::report::risk::Risk;
use crate::{RunPicture, Samples, Scaling, Severity};

pub(crate) const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
pub(crate) const SOFT: RGBColor = RGBColor(0x59, 0x63, 0x6E);
pub(crate) const GRID: RGBColor = RGBColor(0xD1, 0xD9, 0xE0);
pub(crate) const PAPER: RGBColor = RGBColor(0xFE, 0xFE, 0xFD);
pub(crate) const RED: RGBColor = RGBColor(0xC1, 0x1F, 0x2D);
pub(crate) const ORANGE: RGBColor = RGBColor(0xC4, 0x5A, 0x0A);
pub(crate) const YELLOW: RGBColor = RGBColor(0x9A, 0x6F, 0x05);
pub(crate) const GREEN: RGBColor = RGBColor(0x1D, 0x7F, 0x43);
pub(crate) const BLUE: RGBColor = RGBColor(0x0B, 0x63, 0xC9);

/// The colours that a page may replace, by the names of its variables.
const PALETTE: [(RGBColor, &str); 9] = [
    (INK, "ink"),
    (SOFT, "soft"),
    (GRID, "grid"),
    (PAPER, "paper"),
    (RED, "red"),
    (ORANGE, "orange"),
    (YELLOW, "yellow"),
    (GREEN, "green"),
    (BLUE, "blue"),
];

const RISK: (u32, u32) = (1200, 800);

/// The colour of a severity.
pub(crate) const fn of_severity(severity: Severity) -> RGBColor {
    match severity {
        Severity::Critical => RED,
        Severity::High => ORANGE,
        Severity::Medium => YELLOW,
        Severity::Low => GREEN,
        Severity::Info => BLUE,
    }
}

/// The risk matrix as a file.
pub(crate) fn risk_svg(risks: &[Risk]) -> Result<String, DrawError> {
    svg(RISK, |canvas| bubbles::draw(canvas, risks))
}

/// The same in pixels.
pub(crate) fn risk_png(risks: &[Risk]) -> Result<Vec<u8>, DrawError> {
    let folder = tempfile::tempdir().map_err(DrawError::new)?;
    let path = folder.path().join("risk_matrix.png");
    fonts()?;
    {
        let area = BitMapBackend::new(&path, RISK).into_drawing_area();
        bubbles::draw(&Canvas::new(&area), risks)?;
        area.present().map_err(DrawError::new)?;
    }
    std::fs::read(path).map_err(DrawError::new)
}

/// The risk matrix for a page.
pub(crate) fn risk(risks: &[Risk]) -> Result<String, DrawError> {
    risk_svg(risks).map(|svg| themed(&svg, "Risk matrix: impact over likelihood"))
}

/// How samples are spread, for a page.
pub(crate) fn histogram(name: &str, samples: &Samples) -> Result<String, DrawError> {
    let svg = svg((560, 260), |canvas| {
        curves::histogram(canvas, name, samples)
    })?;
    Ok(themed(&svg, &format!("Histogram of {name}")))
}

/// How a cost grows, for a page.
pub(crate) fn scaling(scaling: &Scaling) -> Result<String, DrawError> {
    let svg = svg((560, 320), |canvas| curves::scaling(canvas, scaling))?;
    Ok(themed(&svg, &format!("Growth of {}", scaling.name)))
}

/// A DAG with what became of its stages, for a page.
pub(crate) fn dag(picture: &RunPicture) -> Result<String, DrawError> {
    let layout = graph::Layout::of(picture);
    let svg = svg(layout.size(), |canvas| layout.draw(canvas))?;
    Ok(themed(&svg, &format!("DAG of {}", picture.pipeline)))
}

/// Its stages over time, for a page.
pub(crate) fn run_gantt(picture: &RunPicture) -> Result<String, DrawError> {
    let svg = svg(gantt::size(picture), |canvas| gantt::run(canvas, picture))?;
    Ok(themed(
        &svg,
        &format!("Stages of {} over time", picture.pipeline),
    ))
}

/// The seven weeks, for a page.
pub(crate) fn roadmap(risks: &[Risk]) -> Result<String, DrawError> {
    let svg = svg(gantt::roadmap_size(), |canvas| {
        gantt::roadmap(canvas, risks)
    })?;
    Ok(themed(&svg, "Roadmap of seven weeks"))
}

/// How much of each tier was run, for a page.
pub(crate) fn coverage(bars: &[Bar]) -> Result<String, DrawError> {
    let svg = svg(coverage::size(bars), |canvas| coverage::draw(canvas, bars))?;
    Ok(themed(&svg, "How much of each tier was run"))
}

fn svg(
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_, SVGBackend<'_>>) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    fonts()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&Canvas::new(&area))?;
        area.present().map_err(DrawError::new)?;
    }
    Ok(text)
}

/// Text has a size of its own, so no picture depends on what the machine has installed.
fn fonts() -> Result<(), DrawError> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        register_font("sans-serif", FontStyle::Normal, font).is_ok()
    });
    if *loaded {
        Ok(())
    } else {
        Err(DrawError::new("the font cannot be read"))
    }
}

/// With the colours of the page it stands in, and a name for those who cannot see it.
fn themed(svg: &str, label: &str) -> String {
    let mut svg = svg.to_owned();
    for (RGBColor(r, g, b), name) in PALETTE {
        svg = svg.replace(
            &format!("\"#{r:02X}{g:02X}{b:02X}\""),
            &format!("\"var(--{name})\""),
        );
    }
    let label = crate::report::page::escape(label);
    svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" "),
        1,
    )
}
