//! Row 24: what a run pays for being let in.

use super::{Bench, Cases};
use crate::door::{self, Keeper};
use crate::harness::{Figure, Figures, Flavor};
use crate::report::{Column, Line};

const KEEPERS: &[(Keeper, &str)] = &[
    (Keeper::Open, "an admission that lets everybody in"),
    (Keeper::Tenants, "tenants, with room"),
    (Keeper::Quotas, "tenants with quotas, none reached"),
];

/// Differences of two figures each: with the admission, and without.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    KEEPERS.iter().map(|keeper| line(bench, *keeper)).collect()
}

fn line(bench: &Bench, (keeper, name): (Keeper, &'static str)) -> Line {
    let mut cases = Cases::default();
    let flavor = Flavor::Ct;
    cases.add("without", flavor, 1, Some(door::runs(Keeper::Nobody)));
    cases.add("with", flavor, 1, Some(door::runs(keeper)));
    let effort = bench.harness.effort;
    let figures = bench.harness.measure(&cases.0, effort);
    Line {
        bare: Column::new(added(&figures), None),
        ..Line::of_limit("24", format!("{name}, a run"), flavor.name(), "nobody")
    }
}

fn added(figures: &Figures) -> Option<Figure> {
    let (with, without) = (figures.get("with")?, figures.get("without")?);
    Some(Figure {
        wall: with.wall - without.wall,
        cpu: with.cpu - without.cpu,
    })
}
