//! What building says of routes, merges and joins, and what a route that cannot be taken says.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::graph::{ArmList, Chosen, Handle, Pick};
use stageflow::prelude::*;

use super::{Sample, kind_name};

struct Nowhere;

impl Route for Nowhere {
    type Arms = ();

    fn arms(_arms: &mut ArmList) -> Self::Arms {}

    fn split(self) -> Pick {
        Pick::new(3, ())
    }
}

pub(super) fn samples() -> Vec<Sample> {
    let mut p = Pipeline::builder("support");
    let n = p.input::<u64>();
    let same = || stage_fn(async |_cx, n: Arc<u64>| Ok(*n));
    let bill = p.stage("bill", same()).after(n);
    p.merge("none", [] as [Handle<u64>; 0]);
    p.join(
        "two",
        Join::at_least(NonZeroUsize::MIN.saturating_add(1)),
        [bill],
    );
    p.merge("twice", [bill, bill]);
    p.merge("input", [bill, n]);
    p.route("nowhere", stage_fn(async |_cx, _: Arc<u64>| Ok(Nowhere)))
        .after(n);
    let error = p.output(bill).build().unwrap_err();
    let names: [(&[&str], &[&str]); 5] = [
        (&["none"], &["no branch"]),
        (&["two"], &["at least 2 of 1"]),
        (&["twice", "bill"], &["twice"]),
        (&["input", "support"], &["there from the start"]),
        (&["nowhere"], &["no arm"]),
    ];
    let problems = error.problems().iter().zip(names);
    let mut samples: Vec<Sample> = problems
        .map(|(problem, (names, facts))| Sample {
            names: names.to_vec(),
            facts: facts.to_vec(),
            ..Sample::with_text(
                "BuildError",
                &kind_name("ProblemKind", problem.kind()),
                Some(problem.code()),
                &problem.to_string(),
            )
        })
        .collect();
    let twice = Chosen::of(vec![Nowhere, Nowhere]).unwrap_err();
    let sample = Sample::of("BadRoute", "BadRoute", twice.code(), &twice);
    samples.push(sample.names(["arm number 3"]).facts(["named twice"]));
    samples
}
