//! Cost a stage is constant up to 100 000 stages.

mod shape;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use stageflow::context::{StageCx, Stop};
use stageflow::executor::{Engine, EngineBuilder, RunOptions};
use stageflow::graph::{Handle, Pipeline, stage_fn};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::shape::{Shape, build, deepest};
use crate::harness::process::status;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier};

/// Half a decade apart.
const SIZES: [usize; 5] = [1_000, 3_162, 10_000, 31_623, 100_000];
/// What is broken on purpose shows on small ones, and sooner.
const SMALL: [usize; 5] = [1_000, 2_000, 4_000, 8_000, 16_000];
/// A stack that a hundred thousand frames do not fit in by far.
const STACK: usize = 256 * 1024;
const DEEP: usize = 100_000;

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A11-SCALING",
        "cost a stage is constant up to 100 000 stages",
    )
    .proves("building and running take time in proportion to stages and edges, a bounded number of bytes a stage, and no stack")
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-005", "DAG-006"])
    .modes(["D11"])
    .expected(Duration::from_secs(8))
    .control(Control::engine("scan-all", "after each stage all stages are looked at", "ScanAll", 1))
    .control(Control::own("slow-build", "building looks at all stages for each stage"))
    .control(Control::own("fat-stages", "each stage holds on to four kilobytes"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    memory(lab)?;
    if lab.is_over() || lab.is_broken("fat-stages") {
        return Ok(());
    }
    if !lab.is_control() {
        deep(lab);
        wide(lab)?;
    }
    scaling(lab)
}

/// What the two halves of one size cost, in nanoseconds: the least of all times it was tried.
#[derive(Clone, Copy)]
struct Cost {
    size: usize,
    build: f64,
    run: f64,
}

/// Sizes take turns, so that what disturbs the machine for a while disturbs all of them.
fn scaling(lab: &mut Lab) -> Result<(), LabError> {
    let (rounds, sizes): (u64, &[usize]) = if lab.is_control() {
        (3, &SMALL)
    } else {
        (lab.scaled(7), &SIZES)
    };
    for shape in Shape::ALL {
        let mut costs: Vec<Cost> = Vec::new();
        for round in 0..rounds {
            for (place, size) in sizes.iter().enumerate() {
                let cost = once(lab, shape, *size)?;
                if round == 0 {
                    costs.push(cost);
                }
                let least = &mut costs[place];
                least.build = least.build.min(cost.build);
                least.run = least.run.min(cost.run);
            }
            lab.count_trials(sizes.len() as u64);
        }
        let points = |of: fn(&Cost) -> f64| -> Vec<[f64; 2]> {
            costs
                .iter()
                .map(|cost| [cost.size as f64, of(cost)])
                .collect()
        };
        let (build, run) = (
            format!("{shape}_build_exponent"),
            format!("{shape}_run_exponent"),
        );
        lab.scaling(&build, "ns", &points(|cost| cost.build));
        lab.scaling(&run, "ns", &points(|cost| cost.run));
        if let Some(largest) = costs.last() {
            let per = largest.size as f64;
            lab.metric(
                &format!("{shape}_build_ns_per_edge"),
                "ns",
                largest.build / per,
            );
            lab.metric(&format!("{shape}_ns_per_stage"), "ns", largest.run / per);
        }
        lab.law(&build, Op::AtMost, 1.10);
        lab.law(&run, Op::AtMost, 1.10);
        if lab.is_over() {
            break;
        }
    }
    Ok(())
}

/// Builds and runs one pipeline. Its size is that of its stages and arrows.
fn once(lab: &mut Lab, shape: Shape, stages: usize) -> Result<Cost, LabError> {
    let rows = shape.rows(stages);
    let started = Instant::now();
    let pipeline = build(&rows).map_err(LabError::new)?;
    if lab.is_broken("slow-build") {
        scan(rows.len());
    }
    let build = started.elapsed();
    let engine = lab.engine().build();
    let (depth, run) = lab.on(Runtime::Ct, async {
        let started = Instant::now();
        let report = engine.run(&pipeline, (), RunOptions::new()).await;
        (report.output().ok().copied(), started.elapsed())
    })?;
    let wanted = deepest(&rows);
    lab.check(
        depth == Some(wanted),
        "the last stage is as deep as it is",
        Breach::WrongStatus,
        || format!("{shape} of {stages}: {depth:?}, not {wanted}"),
    );
    Ok(Cost {
        size: rows.iter().map(|row| row.len() + 1).sum(),
        build: build.as_nanos() as f64,
        run: run.as_nanos() as f64,
    })
}

/// What a builder would do that looks around.
fn scan(stages: usize) {
    let all: Vec<u32> = (0..stages as u32).collect();
    for stage in 0..stages as u32 {
        let found = all.iter().filter(|other| **other == stage).count();
        std::hint::black_box(found);
    }
}

/// A hundred thousand stages, one after the other, on a small stack: built, run and dropped.
fn deep(lab: &mut Lab) {
    let engine: EngineBuilder = lab.engine();
    let work = move || -> Result<Option<u32>, String> {
        let engine: Engine = engine.build();
        let pipeline = build(&Shape::Chain.rows(DEEP))?;
        let runtime = Runtime::Ct.start().map_err(|error| error.to_string())?;
        let report = runtime.block_on(engine.run(&pipeline, (), RunOptions::new()));
        Ok(report.output().ok().copied())
    };
    let name = "a small stack".to_owned();
    let ended = thread::Builder::new()
        .name(name)
        .stack_size(STACK)
        .spawn(work);
    let depth = ended.map(thread::JoinHandle::join);
    lab.check(
        matches!(depth, Ok(Ok(Ok(Some(depth)))) if depth as usize == DEEP),
        "depth takes no stack",
        Breach::Death,
        || format!("{depth:?}"),
    );
    lab.count_trials(1);
    lab.metric("max_stack_bytes", "bytes", STACK as f64);
}

/// A thousand stages, and a thousand that wait for all of them: a million arrows.
fn wide(lab: &mut Lab) -> Result<(), LabError> {
    const SIDE: usize = 1000;
    let row = |at: usize| match at {
        0..SIDE => Vec::new(),
        _ if at < 2 * SIDE => (0..SIDE).collect(),
        _ => (SIDE..2 * SIDE).collect(),
    };
    let rows: Vec<Vec<usize>> = (0..=2 * SIDE).map(row).collect();
    let started = Instant::now();
    let pipeline = build(&rows).map_err(LabError::new)?;
    let took = started.elapsed().as_secs_f64();
    let engine = lab.engine().build();
    let report = lab.on(Runtime::Ct, async {
        engine.run(&pipeline, (), RunOptions::new()).await
    })?;
    lab.check(
        report.output().ok() == Some(&3),
        "a million arrows are built and run",
        Breach::WrongStatus,
        || format!("{report:?}"),
    );
    lab.count_trials(1);
    lab.metric("million_edges_build_s", "s", took);
    lab.gate("million_edges_build_s", Op::AtMost, 1.0);
    Ok(())
}

/// How much larger the process is while a hundred thousand stages are under way at a time.
fn memory(lab: &mut Lab) -> Result<(), LabError> {
    const STAGES: usize = 100_000;
    let Some(before) = resident() else {
        lab.log("there is no /proc here: memory was not measured");
        return Ok(());
    };
    let fat = if lab.is_broken("fat-stages") { 4096 } else { 0 };
    let gate = Arc::new(Semaphore::new(0));
    let mut p = Pipeline::builder::<()>("crowd");
    let mut handles: Vec<Handle<Vec<u8>>> = Vec::with_capacity(STAGES);
    for at in 0..STAGES {
        let gate = Arc::clone(&gate);
        let wait = move |_cx: StageCx, ()| {
            let gate = Arc::clone(&gate);
            async move {
                let held = vec![1_u8; fat];
                // It is never opened, but closed.
                let _closed = gate.acquire().await;
                Ok::<_, Stop>(held)
            }
        };
        handles.push(p.stage(format!("s{at}"), stage_fn(wait)).root());
    }
    // Declared last, it starts last: when all others wait.
    let look = move |_cx: StageCx, ()| {
        let size = resident();
        gate.close();
        async move { Ok::<_, Stop>(size) }
    };
    let look = p.stage("look", stage_fn(look)).root();
    let count = async |_cx: StageCx, (all, size): (Vec<Arc<Vec<u8>>>, Arc<Option<u64>>)| {
        Ok((all.len(), *size))
    };
    let last = p.stage("count", stage_fn(count)).after((handles, look));
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    let engine = lab.engine().build();
    let options = RunOptions::new().concurrency(NonZeroUsize::MAX);
    let report = lab.on(Runtime::Ct, async {
        engine.run(&pipeline, (), options).await
    })?;
    lab.count_trials(1);
    let Ok((count, Some(during))) = report.output().copied() else {
        return Err(LabError::new("the memory of a run could not be measured"));
    };
    lab.check(count == STAGES, "every value arrives", Breach::Lost, || {
        count.to_string()
    });
    let bytes = during.saturating_sub(before) as f64 / STAGES as f64;
    lab.metric("bytes_per_stage", "bytes", bytes);

    lab.law("bytes_per_stage", Op::AtMost, 2048.0);
    Ok(())
}

/// How much memory the process has, in bytes, where the system says.
fn resident() -> Option<u64> {
    status("VmRSS")
}
