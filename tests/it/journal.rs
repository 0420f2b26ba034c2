//! A journal behind an engine: what runs did is in the files, whatever happens to the sink, the disk's files or the process.

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use serde_json::json;
use stageflow::events::journal::{self, Chain, Format, Journal, JournalOptions};
use stageflow::events::{
    BoundedSink, Entry, EventRecord, EventSink, ExportError, ExportErrorKind, Exporter, Spill,
    SpillOptions, Stopping,
};
use stageflow::prelude::*;
use stageflow_testkit::script;

const LIMIT: Duration = Duration::from_secs(10);

/// Two stages, of which one says something.
fn pipeline() -> Pipeline<u32, u32> {
    let mut p = Pipeline::builder("answer");
    let ask = p.input::<u32>();
    let says = stage_fn(|cx: StageCx, ask: Arc<u32>| async move {
        cx.try_emit("docs.loaded", json!({ "pages": *ask }))?;
        cx.try_emit("audit.viewed", json!({ "by": "ada" }))?;
        Ok::<_, Stop>(*ask)
    });
    let load = p.stage("load", says).after(ask);
    let write = p.stage("write", script::ok(7_u32)).after(load);
    p.output(write).build().unwrap()
}

/// So many runs into the sink.
async fn run(sink: impl EventSink, count: u32) {
    let engine = Engine::builder().events(sink).build();
    let pipeline = pipeline();
    let runs = (0..count).map(|n| engine.run(&pipeline, n, RunOptions::new()));
    for report in futures_util::future::join_all(runs).await {
        report.output().unwrap();
    }
}

/// The places of each run's records, which must be whole and in order.
fn whole_stories(dir: &Path, runs: usize) {
    let mut stories = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for record in journal::read(dir) {
        let record = record.unwrap();
        stories.entry(record.run_id).or_default().push(record.seq);
    }
    assert_eq!(stories.len(), runs);
    for story in stories.values() {
        assert!(story.iter().copied().eq(0..8), "{story:?}");
    }
}

#[tokio::test]
async fn what_runs_did_is_in_the_journal() {
    for format in [Format::Native, Format::CloudEvents] {
        let dir = tempfile::tempdir().unwrap();
        let small = NonZeroU64::new(20_000).unwrap();
        let options = JournalOptions::new(dir.path())
            .format(format)
            .rotate_at(small);
        let journal = Journal::create(options).unwrap();
        let watch = journal.watch();
        let batch = NonZeroUsize::new(16).unwrap();
        let sink = BoundedSink::builder(journal).batch(batch).start();
        run(sink.clone(), 50).await;
        let counts = sink.stop(Stopping::Drain, LIMIT).await;
        assert_eq!((counts.offered, counts.delivered), (400, 400));

        let verified = journal::verify_to(dir.path(), &watch.head()).unwrap();
        assert_eq!((verified.records, verified.chained), (400, 350));
        assert!(verified.files > 3);
        whole_stories(dir.path(), 50);
    }
}

/// A destination that is away until it is told to be there.
struct Away(Option<Journal>);

#[async_trait::async_trait]
impl Exporter for Away {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        match &mut self.0 {
            Some(journal) => journal.export(entries).await,
            None => Err(ExportError::new(ExportErrorKind::Transient, "away")),
        }
    }
}

fn spilling(exporter: impl Exporter, dir: &Path) -> BoundedSink {
    let spill = Spill::open(&SpillOptions::new(dir.join("spill"))).unwrap();
    BoundedSink::builder(exporter)
        .capacity(NonZeroUsize::new(16).unwrap())
        .overflow(spill)
        .start()
}

/// What a process does: when it ends, so does everything that was under way in it.
fn process<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(work)
}

/// A process whose journal is away keeps events on disk and ends; the next one delivers them.
#[test]
fn what_could_not_be_delivered_is_delivered_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let left = process(async {
        let sink = spilling(Away(None), dir.path());
        run(sink.clone(), 20).await;
        sink.stop(Stopping::Drain, Duration::from_millis(10))
            .await
            .on_disk
    });
    assert!(left > 100, "{left}");

    let at = dir.path().join("journal");
    let counts = process(async {
        let journal = Journal::create(JournalOptions::new(&at)).unwrap();
        let sink = spilling(Away(Some(journal)), dir.path());
        sink.stop(Stopping::Drain, LIMIT).await
    });
    assert_eq!((counts.delivered, counts.on_disk), (left, 0));
    let records: Result<Vec<EventRecord>, _> = journal::read(&at).collect();
    assert_eq!(records.unwrap().len() as u64, left);
    journal::verify(&at).unwrap();
}

#[tokio::test]
async fn an_altered_journal_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).chain(Chain::All);
    let sink = BoundedSink::builder(Journal::create(options).unwrap()).start();
    run(sink.clone(), 1).await;
    sink.stop(Stopping::Drain, LIMIT).await;

    let file = dir.path().join("journal-00000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"ada\"", "\"bob\"")).unwrap();
    let error = journal::verify(dir.path()).unwrap_err();
    let said = error
        .to_string()
        .replace(&*dir.path().to_string_lossy(), "DIR");
    expect![[r#"
        SF0508: journal file `DIR/journal-00000001.jsonl` is not as it was written: line 5 was altered; take what follows from a copy, and find out who can write there; what stands before that holds (numbers up to 4, records: 3)"#]]
    .assert_eq(&said);
}
