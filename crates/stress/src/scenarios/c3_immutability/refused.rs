//! What must be refused at run time: each is tried, and each must fail.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use stageflow::context::{ContextSnapshot, Extension, OutputBag, SeededIds, SnapshotErrorKind};
use stageflow::prelude::*;

use crate::scenarios::d1_snapshots::model::Basket;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError, Runtime};

/// Has interior mutability, which the compiler cannot see behind an atomic.
#[derive(Debug, Serialize, Deserialize)]
struct Tally {
    count: AtomicU64,
}

impl Extension for Tally {
    const NAME: &'static str = "stress.tally";
}

pub(super) fn try_it(lab: &mut Lab) -> Result<(), LabError> {
    let identity = full_identity(&SeededIds::new(lab.seed().get()));
    let empty = ContextSnapshot::new(identity);
    let mut blocked = extensions(lab, &empty)? + bag(lab);
    upstream(lab, &mut blocked)?;
    lab.metric("blocked_runtime", "count", blocked);
    Ok(())
}

/// 1 if it was refused.
fn refused(lab: &Lab, what: &str, is_refused: bool) -> f64 {
    lab.check(
        is_refused,
        "what is forbidden is refused",
        Breach::Leaked,
        || format!("{what} went through"),
    );
    f64::from(u8::from(is_refused))
}

fn extensions(lab: &Lab, empty: &ContextSnapshot) -> Result<f64, LabError> {
    let basket = Basket {
        things: vec!["tea".to_owned()],
        weight: 0.5,
        price: 3,
    };
    let tally = Tally {
        count: AtomicU64::new(1),
    };
    let snapshot = empty
        .with_extension(&basket)
        .and_then(|snapshot| snapshot.with_extension(&tally))
        .map_err(LabError::new)?;
    let decoded = snapshot.extension::<Basket>().map_err(LabError::new)?;
    let alone = decoded.is_some_and(|mut own| Arc::get_mut(&mut own).is_some());
    let again = snapshot.extension::<Basket>().map_err(LabError::new)?;
    let same = again.as_deref() == Some(&basket);
    let before = snapshot.digest().map_err(LabError::new)?;
    let silent = snapshot.extensions().altered().is_empty();
    if let Some(tally) = snapshot.extension::<Tally>().map_err(LabError::new)? {
        tally.count.store(7, Ordering::SeqCst);
    }
    let noticed = snapshot.extensions().altered() == [Tally::NAME];
    let kept = snapshot.digest().is_ok_and(|after| after == before);
    let text = snapshot.to_json().map_err(LabError::new)?;
    let altered = ContextSnapshot::from_json(&text.replace("\"price\":3", "\"price\":4"));
    let kind = altered.err().map(|error| error.kind());
    let tries = [
        ("a mutable borrow of an extension", !alone),
        ("a change of an extension", same),
        ("an alarm without a change", silent),
        ("an atomic in an extension", noticed),
        ("an atomic that changes the content", kept),
        (
            "a price that was changed in the store",
            kind == Some(SnapshotErrorKind::Altered),
        ),
    ];
    Ok(tries.iter().map(|(what, is)| refused(lab, what, *is)).sum())
}

fn bag(lab: &Lab) -> f64 {
    let (bag, one) = (OutputBag::new(), NonZeroU32::MIN);
    let first = bag.put("key", "one", one, 1_u64);
    let second = bag.put("key", "two", one, 2_u64);
    let stays = bag
        .get::<u64>("key")
        .is_ok_and(|value| value.as_deref() == Some(&1));
    refused(
        lab,
        "a second value for a key",
        first.is_ok() && second.is_err() && stays,
    )
}

/// A stage holds what it was given alone only if nobody else can ever read it; the engine can.
fn upstream(lab: &mut Lab, blocked: &mut f64) -> Result<(), LabError> {
    let mut p = Pipeline::builder("grab");
    let first = p.input::<Vec<u64>>();
    let grab = || {
        stage_fn(async |_cx: StageCx, mut values: Arc<Vec<u64>>| {
            let stolen = Arc::get_mut(&mut values)
                .map(|values| values.push(9))
                .is_some();
            let mut own = Arc::unwrap_or_clone(values);
            own.push(u64::from(stolen));
            Ok::<_, Stop>(own)
        })
    };
    let one = p.stage("one", grab()).after(first);
    let two = p.stage("two", grab()).after(one);
    let beside = p.stage("beside", grab()).spawn().after(one);
    let last = stage_fn(
        async |_cx: StageCx, (a, b): (Arc<Vec<u64>>, Arc<Vec<u64>>)| {
            Ok::<_, Stop>([&a[..], &b[..]].concat())
        },
    );
    let last = p.stage("last", last).after((two, beside));
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    let engine = lab.engine().build();
    for runtime in [Runtime::Ct, Runtime::Mt2] {
        let report = lab.on(runtime, engine.run(&pipeline, vec![5], RunOptions::new()))?;
        let (output, kept) = (report.output(), report.value(one));
        let untouched = output
            .as_ref()
            .is_ok_and(|output| **output == [5, 0, 0, 5, 0, 0])
            && kept.as_deref() == Some(&vec![5, 0]);
        *blocked += f64::from(u8::from(untouched));
        lab.check(
            untouched,
            "no stage holds an upstream value alone",
            Breach::Leaked,
            || format!("{output:?}, the report has {kept:?}"),
        );
    }
    Ok(())
}
