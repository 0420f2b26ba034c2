//! What the behaviour tests share.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::context::CleanupResult;
use stageflow::events::{EventKind, OperationStarted};
use stageflow::executor::EngineBuilder;
use stageflow::graph::{Placement, StageBuilder};
use stageflow::interceptors::{Call, Ending, Next, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Probe, Recorded, RecordingSink};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A stage whose futures the probe counts, whether they are polled or not.
pub(crate) fn watched<I, O, F, Fut>(
    probe: &Probe,
    body: F,
) -> impl Stage<Input = I, Output = O> + use<I, O, F, Fut>
where
    I: Send + 'static,
    O: Send + Sync + 'static,
    F: Fn(StageCx, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Stop>> + Send + 'static,
{
    let probe = probe.clone();
    stage_fn(move |cx: StageCx, input: I| {
        let live = probe.enter();
        let work = body(cx, input);
        async move {
            let result = work.await;
            live.done();
            result
        }
    })
}

/// What was written down, in order, from anywhere.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn write(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Cleanups that write down that they were registered, and that they ran.
#[derive(Clone, Default)]
pub(crate) struct Tidying {
    registered: Log,
    ran: Log,
}

impl Tidying {
    /// Registers a cleanup that only says that it ran.
    pub(crate) fn add(&self, cx: &StageCx, name: &str) {
        self.add_with(cx, name, async || ());
    }

    /// Registers a cleanup that says that it ran, and then does more.
    pub(crate) fn add_with<R: CleanupResult, Fut: Future<Output = R> + Send + 'static>(
        &self,
        cx: &StageCx,
        name: &str,
        more: impl FnOnce() -> Fut + Send + 'static,
    ) {
        self.registered.write(name);
        let (ran, said) = (self.ran.clone(), name.to_owned());
        cx.on_cleanup(name, move || {
            ran.write(said);
            more()
        });
    }

    pub(crate) fn registered(&self) -> Vec<String> {
        self.registered.lines()
    }

    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lines()
    }

    /// Every cleanup ran once, the one registered last first.
    #[track_caller]
    pub(crate) fn assert_done(&self) {
        let mut backwards = self.registered();
        backwards.reverse();
        assert_eq!(
            self.ran(),
            backwards,
            "cleanups run once each, last in, first out"
        );
    }
}

/// Starts an engine that reports no blocking: a busy machine makes them of anything.
pub(crate) fn undisturbed() -> EngineBuilder {
    Engine::builder().blocking_threshold(Duration::MAX)
}

/// An engine with a sink, and what there was before its runs.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) sink: RecordingSink,
    pub(crate) probe: Probe,
    pub(crate) tidying: Tidying,
    tasks_before: usize,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set_up: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Self {
        let sink = RecordingSink::new();
        let engine = set_up(undisturbed().events(sink.clone())).build();
        let tasks_before = Handle::current().metrics().num_alive_tasks();
        Self {
            engine,
            sink,
            probe: Probe::new(),
            tidying: Tidying::default(),
            tasks_before,
        }
    }

    /// Nothing of any run is left: no task, no stage, no cleanup; and the events are in order. Gives them.
    pub(crate) async fn assert_nothing_left(&self) -> Vec<String> {
        assert_eq!(self.engine.live_tasks(), 0, "tasks the engine knows of");
        assert_eq!(self.probe.live(), 0, "futures of stages");
        self.tidying.assert_done();
        // A worker needs a moment to take a task that has ended off the runtime's list.
        eventually("the runtime's tasks are as many as before", || {
            Handle::current().metrics().num_alive_tasks() <= self.tasks_before
        })
        .await;
        self.events()
    }

    /// What the engine told since the last time, one line an event, after a look at its grammar.
    pub(crate) fn events(&self) -> Vec<String> {
        self.sink.assert_ok();
        let told = self.sink.all().iter().map(line).collect();
        self.sink.clear();
        told
    }
}

/// The names on the critical path.
pub(crate) fn path<O>(report: &RunReport<O>) -> Vec<&str> {
    report
        .critical_path()
        .into_iter()
        .map(|name| name.as_str())
        .collect()
}

/// JSON as text, with its keys sorted, whatever order its objects keep.
pub(crate) fn json_text(value: &serde_json::Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// An event in one line, without its time.
pub(crate) fn line(recorded: &Recorded) -> String {
    let name = recorded.stage().unwrap_or_default();
    match recorded.event.kind() {
        EventKind::CleanupEnded(ended) => format!("cleanup {} {}", ended.name, ended.outcome),
        EventKind::BlockingDetected { .. } => format!("{name} held the thread"),
        EventKind::Note { note, .. } => {
            let part = note.part().map(ToString::to_string).unwrap_or_default();
            format!(
                "{name}{part} says {} {}",
                note.name(),
                json_text(note.payload())
            )
        }
        EventKind::PartAnswered(ended) => {
            format!("{name}{} answered {}", ended.part, ended.outcome)
        }
        EventKind::PartEnded(ended) => {
            format!("{name}{} {} {}", ended.part, ended.outcome, ended.attempt)
        }
        EventKind::PartStarted { attempt, part, .. } => format!("{name}{part} started {attempt}"),
        EventKind::OperationEnded(ended) => {
            let (call, end) = (&ended.call, &ended.end);
            let error = end.error.as_ref().map(|error| format!(": {error}"));
            format!(
                "{} {}{}",
                operation(name, call),
                end.outcome,
                error.unwrap_or_default()
            )
        }
        EventKind::OperationStarted(call) => format!("{} started", operation(name, call)),
        EventKind::RunEnded {
            outcome,
            reason: None,
        } => format!("run {outcome}"),
        EventKind::RunEnded {
            outcome,
            reason: Some(reason),
        } => format!("run {outcome}: {reason}"),
        EventKind::RunStarted => "run started".to_owned(),
        EventKind::StageAnswered { outcome, .. } => format!("{name} answered {outcome}"),
        EventKind::StageEnded {
            attempt, outcome, ..
        } => format!("{name} {outcome} {attempt}"),
        EventKind::StageSkipped { because, .. } => {
            format!(
                "{name} skipped because of {}",
                recorded
                    .run
                    .stage(*because)
                    .map_or("?", |name| name.as_str())
            )
        }
        EventKind::StageStarted { attempt, .. } => format!("{name} started {attempt}"),
        EventKind::StageResolved { .. } => format!("{name} resolved"),
        EventKind::UndoEnded(ended) => {
            let (outcome, attempt, state) = (ended.outcome, ended.attempt, ended.state);
            format!("undo {name} {outcome} {attempt}: {state}")
        }
        EventKind::UndoStarted { attempt, .. } => format!("undo {name} started {attempt}"),
        other => other.name().to_owned(),
    }
}

/// Where an operation is, and what: `a[1] 2>chat m`.
fn operation(stage: &str, call: &OperationStarted) -> String {
    let part = call.part.as_ref().map(ToString::to_string);
    let within = call.within.map(|outer| format!("{outer}>"));
    let late = if call.attempt == 0 { " late" } else { "" };
    format!(
        "{stage}{}{late} {}{}",
        part.unwrap_or_default(),
        within.unwrap_or_default(),
        call.operation
    )
}

/// Gives other tasks and threads turns until it is so. The bound is not a wait: it is there so that a defect ends the test.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert!(is_so(), "it never came to this: {what}");
}

/// Lets virtual time run while `work` goes on; also where a blocking thread keeps it from running by itself.
pub(crate) async fn with_time_running<T>(work: impl Future<Output = T>) -> T {
    let time = async {
        // So long that only a defect sees the end of it.
        for _ in 0..3_000_000 {
            tokio::time::advance(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = time => panic!("it has not ended in eight hours"),
    }
}

/// Puts a stage somewhere.
pub(crate) fn placed<S: Stage, P>(
    stage: StageBuilder<'_, S, P>,
    placement: Placement,
) -> StageBuilder<'_, S, P> {
    match placement {
        Placement::Spawn => stage.spawn(),
        Placement::Blocking => stage.blocking(),
        Placement::Inline => stage.inline(),
        _ => stage,
    }
}

/// A pipeline of one stage, `a`.
pub(crate) fn alone<O: Send + Sync + 'static>(
    stage: impl Stage<Input = Arc<u64>, Output = O>,
    placement: Placement,
) -> Pipeline<u64, O> {
    let mut p = Pipeline::builder("alone");
    let n = p.input::<u64>();
    let a = placed(p.stage("a", stage), placement).after(n);
    p.output(a).build().unwrap()
}

pub(crate) const PLACEMENTS: [Placement; 3] =
    [Placement::Inline, Placement::Spawn, Placement::Blocking];

/// A layer that waits, but only passes on: with it, stages run inside a future of the layers.
pub(crate) struct PassOn;

#[async_trait]
impl Around for PassOn {
    fn name(&self) -> &str {
        "pass-on"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

/// A value whose `Drop` panics.
pub(crate) struct PanicsOnDrop(pub(crate) &'static str);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        // Not while another panic is on its way: that would end the process.
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// Opens a gate in the end, so that a test that fails does not wait for a thread that waits for it.
pub(crate) struct OpenInTheEnd<'a>(pub(crate) &'a Gate);

impl Drop for OpenInTheEnd<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Panics without the noise, where a value of type `()` is wanted.
pub(crate) fn blow_up(what: &'static str) {
    std::panic::resume_unwind(Box::new(what))
}

/// Holds the thread for so long of the time that really passes.
pub(crate) fn hold_the_thread(how_long: Duration) {
    let until = Instant::now() + how_long;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Wakes its task by itself, whatever the runtime thinks of it.
pub(crate) async fn wake_myself() {
    let mut woken = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut woken, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// The text of something, for a list of them.
pub(crate) fn texts<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// Names and outcomes of a run's stages.
pub(crate) fn outcomes<O>(report: &RunReport<O>) -> Vec<String> {
    report
        .stages()
        .map(|stage| format!("{} {}", stage.name(), stage.outcome()))
        .collect()
}

/// Names and outcomes of a run's cleanups.
pub(crate) fn cleanups<O>(report: &RunReport<O>) -> Vec<String> {
    report
        .cleanups()
        .iter()
        .map(|ended| format!("{} {}", ended.name, ended.outcome))
        .collect()
}
