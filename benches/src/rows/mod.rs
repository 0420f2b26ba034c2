//! The rows of the table, by number. Each prepares its cases, has them measured side by side and states its bounds.

mod build;
mod control;
mod counted;
mod door;
mod engine;
mod layers;
mod limits;
mod linear;
mod neighbours;
mod throughput;
mod values;
mod waits;

use std::collections::BTreeMap;

use crate::args::Args;
use crate::harness::{self, Batch, Case, Effort, Figures, Flavor, Harness};
use crate::ours::Stageflow;
use crate::report::{Column, Line, Must, Unit, Verdict};
use crate::subject::{Mode, Subject};

/// A row: its name on the command line, what it is about, and how it is measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    lines: fn(&Bench) -> Vec<Line>,
}

const fn row(name: &'static str, about: &'static str, lines: fn(&Bench) -> Vec<Line>) -> Row {
    Row { name, about, lines }
}

/// In the order of the table.
pub(crate) const ALL: &[Row] = &[
    row("limits", "the hand-written side alone", limits::lines),
    row("1", "a chain of 10 and of 1000 stages", engine::chain),
    row(
        "2",
        "instructions a stage (needs valgrind)",
        counted::instructions,
    ),
    row("3", "a fan of 50 and of 1000 stages", engine::fan),
    row(
        "4",
        "the same, each stage in a task of its own",
        engine::spawned_fan,
    ),
    row("5", "a random graph of 1000 stages", engine::random_dag),
    row("6", "one stage, then 10 000", engine::source_fan),
    row(
        "7",
        "the cost of a stage does not grow with their number",
        linear::lines,
    ),
    row(
        "8",
        "runs of 10 stages, 1, 64 and 1000 at a time",
        throughput::one_core,
    ),
    row("9", "the same on two cores", throughput::two_cores),
    row("10", "forking a context", values::fork),
    row("11", "offering an event", values::emit),
    row("12", "the status events of a stage", values::status),
    row(
        "13",
        "a flood is counted, and a stop is quick",
        values::account,
    ),
    row("14", "building and validating", build::lines),
    row("15", "allocations", counted::allocations),
    row("16", "live heap", counted::heap),
    row("18", "stages that sleep for a millisecond", waits::sleeps),
    row("19", "opposed chains, and stages that compute", waits::skew),
    row("20", "a route, its arms and a merge", control::route),
    row("21", "a run inside a run", control::child),
    row("22", "a map over 10 000 items", control::map),
    row("23", "what a layer adds to a stage", layers::lines),
    row("24", "what a run pays for being let in", door::lines),
    row(
        "25",
        "what one tenant notices of another",
        neighbours::lines,
    ),
];

/// Everything a row needs.
pub(crate) struct Bench {
    harness: Harness,
    bare: Box<dyn Subject>,
    default: Box<dyn Subject>,
}

/// Measures the rows asked for; an unknown name is an error that lists the known ones.
pub(crate) fn run(args: &Args) -> Result<Vec<Line>, String> {
    for name in &args.rows {
        if !ALL.iter().any(|row| row.name == name) {
            let known: Vec<&str> = ALL.iter().map(|row| row.name).collect();
            return Err(format!("no row `{name}`; there are: {}", known.join(", ")));
        }
    }
    let effort = if args.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    keep_pages();
    let bench = Bench {
        harness: Harness::new(effort).map_err(|error| format!("cannot start tokio: {error}"))?,
        bare: Box::new(Stageflow::new(Mode::Bare)),
        default: Box::new(Stageflow::new(Mode::Default)),
    };
    let wanted = |row: &&Row| args.rows.is_empty() || args.rows.iter().any(|name| name == row.name);
    Ok(ALL
        .iter()
        .filter(wanted)
        .flat_map(|row| (row.lines)(&bench))
        .collect())
}

/// Has the allocator keep what is given back to it, on either side: glibc learns from a large block that was let go that there
/// will be others. Otherwise whether a graph is built in fresh pages depends on what was measured before.
fn keep_pages() {
    const LARGE: usize = 31 << 20;
    drop(std::hint::black_box(vec![0_u8; LARGE]));
}

/// One line's worth of comparison.
struct Comparison {
    row: &'static str,
    measure: String,
    flavor: Flavor,
    /// What one run is divided by.
    units: usize,
    by: &'static str,
    limit: Batch,
    bare: Side,
    default: Side,
}

/// Stageflow's side, if it is there, and its bound.
struct Side {
    batch: Option<Batch>,
    must: Option<Must>,
}

impl Side {
    /// At most so many times the limit.
    fn times(batch: Option<Batch>, bound: f64) -> Self {
        Self {
            batch,
            must: Some(Must::Times(bound)),
        }
    }

    /// Not asked for in this row.
    fn none() -> Self {
        Self {
            batch: None,
            must: None,
        }
    }
}

impl Bench {
    fn compare(&self, comparison: Comparison) -> Line {
        self.compare_with(self.harness.effort, comparison)
    }

    fn compare_with(&self, effort: Effort, comparison: Comparison) -> Line {
        let Comparison {
            row,
            measure,
            flavor,
            units,
            by,
            limit,
            bare,
            default,
        } = comparison;
        let mut cases = Cases::default();
        cases.add("limit", flavor, units, Some(limit));
        cases.add("bare", flavor, units, bare.batch);
        cases.add("default", flavor, units, default.batch);
        let line = |figures: &Figures| {
            let figure = |name| figures.get(name).copied();
            vec![Line {
                limit: figure("limit"),
                bare: Column::new(figure("bare"), bare.must),
                default: Column::new(figure("default"), default.must),
                ..Line::of_limit(row, measure.clone(), flavor.name(), by)
            }]
        };
        let mut lines = self.settle(effort, &cases, line);
        lines.remove(0)
    }

    /// Measures, and measures again while something is beyond its bound: a neighbour's load passes, a slip stays.
    fn settle(
        &self,
        effort: Effort,
        cases: &Cases,
        lines: impl Fn(&Figures) -> Vec<Line>,
    ) -> Vec<Line> {
        let mut figures = self.harness.measure(&cases.0, effort);
        for _ in 0..effort.repeats {
            if lines(&figures)
                .iter()
                .all(|line| line.verdict() <= Verdict::Ok)
            {
                break;
            }
            harness::merge(&mut figures, &self.harness.measure(&cases.0, effort));
        }
        lines(&figures)
    }
}

/// Cases by name; one that is absent is left out.
#[derive(Default)]
struct Cases(BTreeMap<&'static str, Case>);

impl Cases {
    fn add(&mut self, name: &'static str, flavor: Flavor, units: usize, batch: Option<Batch>) {
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 stages")]
        if let Some(batch) = batch {
            self.0.insert(
                name,
                Case {
                    flavor,
                    units: units as f64,
                    batch,
                },
            );
        }
    }
}

/// A line of ratios, each of two figures of the same thing.
fn ratio_line(row: &'static str, measure: String, by: &'static str) -> Line {
    Line {
        unit: Unit::Ratio,
        ..Line::of_limit(row, measure, "-", by)
    }
}

#[cfg(test)]
mod tests;
