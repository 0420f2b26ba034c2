//! Row 23: what a layer adds to a stage, beside what the layer of tower that does the same adds to a call.

use super::{Bench, Cases};
use crate::harness::{Figure, Figures, Flavor};
use crate::layers::{self, Kind};
use crate::limits;
use crate::report::{Column, Line};

const LAYERS: &[(Kind, &str)] = &[
    (Kind::Elsewhere, "around other stages only"),
    (Kind::Hook, "a hook that does nothing"),
    (Kind::Around, "one that may wait, and does not"),
    (Kind::Timeout, "timeout"),
    (Kind::Retry, "retry, no failure"),
    (Kind::Breaker, "breaker, closed, in a row"),
    (Kind::BreakerByRate, "breaker, closed, by rate"),
    (Kind::Rate, "rate limit, not reached"),
    (Kind::Bulkhead, "bulkhead, not full"),
    (Kind::Keyless, "idempotent work, no key"),
    (Kind::CacheHit, "cache, hit"),
    (Kind::Chaos, "chaos, never"),
    (Kind::Unasked, "authorize, nothing required"),
    (Kind::Permitted, "authorize, one permission by role"),
];

/// Differences of two figures each: with the layer, and without.
pub(super) fn lines(bench: &Bench) -> Vec<Line> {
    LAYERS.iter().map(|layer| line(bench, *layer)).collect()
}

fn line(bench: &Bench, (kind, name): (Kind, &'static str)) -> Line {
    let chain = |kind| Some(layers::chain(kind));
    let mut cases = Cases::default();
    let flavor = Flavor::Ct;
    cases.add(
        "without",
        flavor,
        layers::STAGES,
        chain(layers::without(kind)),
    );
    cases.add("with", flavor, layers::STAGES, chain(kind));
    let theirs = limits::tower(kind);
    if theirs.is_some() {
        cases.add("tower without", flavor, 1, limits::tower(Kind::Nothing));
        cases.add("tower with", flavor, 1, theirs);
    }
    let effort = bench.harness.effort;
    let figures = bench.harness.measure(&cases.0, effort);
    Line {
        limit: added(&figures, "tower with", "tower without"),
        bare: Column::new(added(&figures, "with", "without"), None),
        ..Line::of_limit("23", format!("{name}, a stage"), flavor.name(), "tower")
    }
}

fn added(figures: &Figures, with: &str, without: &str) -> Option<Figure> {
    let (with, without) = (figures.get(with)?, figures.get(without)?);
    Some(Figure {
        wall: with.wall - without.wall,
        cpu: with.cpu - without.cpu,
    })
}
