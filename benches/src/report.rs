//! What comes out: a line for each comparison, its bounds, its verdict, the table and the JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::Figure;

/// One line of the table.
pub(crate) struct Line {
    pub(crate) row: &'static str,
    pub(crate) measure: String,
    pub(crate) runtime: &'static str,
    pub(crate) unit: Unit,
    pub(crate) limit_name: &'static str,
    pub(crate) limit: Option<Figure>,
    pub(crate) bare: Column,
    pub(crate) default: Column,
}

/// What the figures of a line are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Allocations,
    Bytes,
    Instructions,
    Nanos,
    Ratio,
}

/// Stageflow's side of a line, in one mode.
#[derive(Clone, Copy, Default)]
pub(crate) struct Column {
    pub(crate) figure: Option<Figure>,
    pub(crate) must: Option<Must>,
}

/// A bound.
#[derive(Clone, Copy)]
pub(crate) enum Must {
    /// At most this.
    AtMost(f64),
    /// At most this much more than the limit.
    Plus(f64),
    /// At most so many times the limit.
    Times(f64),
}

/// How a line came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// There is nothing to judge.
    Absent,
    /// Within the bound.
    Ok,
    /// Beyond the bound, but not by so much that a busy machine could not be the reason.
    Over,
    /// Beyond twice the bound.
    Fail,
}

impl Line {
    /// A line that is about the hand-written side alone.
    pub(crate) fn of_limit(
        row: &'static str,
        measure: String,
        runtime: &'static str,
        name: &'static str,
    ) -> Self {
        Self {
            row,
            measure,
            runtime,
            unit: Unit::Nanos,
            limit_name: name,
            limit: None,
            bare: Column::default(),
            default: Column::default(),
        }
    }

    /// The worse of the two columns.
    pub(crate) fn verdict(&self) -> Verdict {
        self.bare
            .verdict(self.limit)
            .max(self.default.verdict(self.limit))
    }

    /// Whether there is something to judge at all.
    fn is_bounded(&self) -> bool {
        self.bare.must.is_some() || self.default.must.is_some()
    }

    /// Whether the program should fail for it.
    pub(crate) fn fails(&self) -> bool {
        self.verdict() == Verdict::Fail
    }
}

impl Column {
    /// A figure and its bound; without a figure there will be a dash.
    pub(crate) fn new(figure: Option<Figure>, must: Option<Must>) -> Self {
        Self { figure, must }
    }

    fn verdict(&self, limit: Option<Figure>) -> Verdict {
        match self.used(limit) {
            None => Verdict::Absent,
            Some(used) if used <= 1.0 => Verdict::Ok,
            Some(used) if used <= 2.0 => Verdict::Over,
            Some(_) => Verdict::Fail,
        }
    }

    /// How much of the bound is used; one is all of it.
    fn used(&self, limit: Option<Figure>) -> Option<f64> {
        let ours = self.figure?.wall;
        Some(match self.must? {
            Must::AtMost(bound) => ours / bound,
            Must::Plus(bound) => (ours - limit?.wall) / bound,
            Must::Times(bound) => ours / limit?.wall / bound,
        })
    }

    /// The figure in the terms of its bound.
    fn compared(&self, limit: Option<Figure>) -> String {
        let (Some(ours), Some(must)) = (self.figure, self.must) else {
            return "-".to_owned();
        };
        match (must, limit) {
            (Must::Times(_), Some(limit)) => format!("{:.2}x", ours.wall / limit.wall),
            (Must::Plus(_), Some(limit)) => format!("{:+.0}", ours.wall - limit.wall),
            (Must::AtMost(_), _) | (_, None) => "-".to_owned(),
        }
    }

    fn json(&self, limit: Option<Figure>) -> Value {
        let must = self.must.map(Must::shown);
        let verdict = self.verdict(limit).name();
        let compared = self.compared(limit);
        json!({"figure": figure_json(self.figure), "compared": compared, "must": must, "verdict": verdict})
    }
}

impl Must {
    fn shown(self) -> String {
        match self {
            Self::AtMost(bound) => format!("{}", (bound * 100.0).round() / 100.0),
            Self::Plus(bound) => format!("+{bound}"),
            Self::Times(bound) => format!("{}x", (bound * 100.0).round() / 100.0),
        }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Absent => "-",
            Self::Ok => "ok",
            Self::Over => "over",
            Self::Fail => "FAIL",
        }
    }
}

impl Unit {
    fn shown(self, figure: Option<Figure>) -> String {
        let Some(Figure { wall, cpu }) = figure else {
            return "-".to_owned();
        };
        match self {
            Self::Allocations => format!("{wall:.2}"),
            Self::Bytes => format!("{wall:.0} B"),
            Self::Instructions => format!("{wall:.0} Ir"),
            Self::Ratio => format!("{wall:.2}"),
            Self::Nanos => {
                let (scale, name) = match wall {
                    ..1e3 => (1.0, "ns"),
                    ..1e6 => (1e3, "us"),
                    _ => (1e6, "ms"),
                };
                format!(
                    "{} ({}) {name}",
                    three_digits(wall / scale),
                    three_digits(cpu / scale)
                )
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Bytes => "bytes",
            Self::Instructions => "instructions",
            Self::Nanos => "ns",
            Self::Ratio => "ratio",
        }
    }
}

const HEAD: [&str; 11] = [
    "row", "measure", "rt", "by hand", "limit", "B", "B/limit", "must", "D", "D/limit", "must",
];

/// All lines under one head, columns as wide as they need to be.
pub(crate) fn table(lines: &[Line]) -> String {
    let cells: Vec<[String; 11]> = lines.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = "Per unit: wall (CPU of all cores), the fastest slice of each.\n\n".to_owned();
    let verdicts = lines.iter().map(|line| line.verdict().name());
    push_row(&mut table, &HEAD.map(str::to_owned), &widths, "verdict");
    let _ = writeln!(
        table,
        "{}",
        "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len() + 7)
    );
    for (row, verdict) in cells.iter().zip(verdicts) {
        push_row(&mut table, row, &widths, verdict);
    }
    table
}

fn cells(line: &Line) -> [String; 11] {
    let Line {
        unit,
        limit,
        bare,
        default,
        ..
    } = line;
    let must = |column: &Column| column.must.map_or_else(|| "-".to_owned(), Must::shown);
    [
        line.row.to_owned(),
        line.measure.clone(),
        line.runtime.to_owned(),
        line.limit_name.to_owned(),
        unit.shown(*limit),
        unit.shown(bare.figure),
        bare.compared(*limit),
        must(bare),
        unit.shown(default.figure),
        default.compared(*limit),
        must(default),
    ]
}

/// Text to the left, figures to the right.
fn push_row(table: &mut String, cells: &[String; 11], widths: &[usize; 11], verdict: &str) {
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let _ = if column < 4 {
            write!(table, "{cell:<width$}  ")
        } else {
            write!(table, "{cell:>width$}  ")
        };
    }
    let _ = writeln!(table, "{verdict}");
}

/// How many lines came out how.
pub(crate) fn summary(lines: &[Line]) -> String {
    let count = |verdict| {
        let bounded = lines.iter().filter(|line| line.is_bounded());
        bounded.filter(|line| line.verdict() == verdict).count()
    };
    format!(
        "{} within their bounds, {} over, {} beyond twice their bounds, {} not measured",
        count(Verdict::Ok),
        count(Verdict::Over),
        count(Verdict::Fail),
        count(Verdict::Absent),
    )
}

/// The same for programs.
pub(crate) fn json(lines: &[Line], quick: bool) -> String {
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "row": line.row,
                "measure": line.measure,
                "runtime": line.runtime,
                "unit": line.unit.name(),
                "limit": {"by": line.limit_name, "figure": figure_json(line.limit)},
                "bare": line.bare.json(line.limit),
                "default": line.default.json(line.limit),
                "verdict": line.verdict().name(),
            })
        })
        .collect();
    format!("{:#}\n", json!({"quick": quick, "lines": lines}))
}

fn figure_json(figure: Option<Figure>) -> Value {
    figure.map_or(
        Value::Null,
        |figure| json!({"wall": figure.wall, "cpu": figure.cpu}),
    )
}

fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(wall: f64) -> Option<Figure> {
        Some(Figure { wall, cpu: wall })
    }

    fn line(ours: Option<Figure>, must: Must) -> Line {
        Line {
            limit: figure(100.0),
            bare: Column::new(ours, Some(must)),
            ..Line::of_limit("1", "chain".to_owned(), "ct", "await_dyn")
        }
    }

    #[test]
    fn a_verdict_follows_from_the_part_of_the_bound_that_is_used() {
        let verdict = |ours, must| line(figure(ours), must).verdict();
        assert_eq!(verdict(400.0, Must::Times(4.0)), Verdict::Ok);
        assert_eq!(verdict(401.0, Must::Times(4.0)), Verdict::Over);
        assert_eq!(verdict(801.0, Must::Times(4.0)), Verdict::Fail);
        assert_eq!(verdict(160.0, Must::Plus(60.0)), Verdict::Ok);
        assert_eq!(verdict(161.0, Must::Plus(60.0)), Verdict::Over);
        assert_eq!(verdict(221.0, Must::Plus(60.0)), Verdict::Fail);
        assert_eq!(verdict(20.0, Must::AtMost(20.0)), Verdict::Ok);
        assert_eq!(verdict(41.0, Must::AtMost(20.0)), Verdict::Fail);
    }

    #[test]
    fn what_is_not_measured_is_neither_good_nor_bad() {
        let absent = line(None, Must::Times(4.0));
        assert_eq!(absent.verdict(), Verdict::Absent);
        assert!(!absent.fails());
        assert!(table(&[absent]).contains("  -        -    4x  "));
    }

    #[test]
    fn the_worse_column_decides() {
        let mut line = line(figure(100.0), Must::Times(4.0));
        line.default = Column::new(figure(900.0), Some(Must::Times(4.0)));
        assert!(line.fails());
        assert_eq!(
            summary(&[line]),
            "0 within their bounds, 0 over, 1 beyond twice their bounds, 0 not measured"
        );
    }

    #[test]
    fn figures_are_shown_with_three_digits() {
        let shown = |wall| Unit::Nanos.shown(figure(wall));
        assert_eq!(shown(3.456), "3.46 (3.46) ns");
        assert_eq!(shown(34_560.0), "34.6 (34.6) us");
        assert_eq!(shown(345_600_000.0), "346 (346) ms");
    }
}
