//! Reads journals once, and keeps what was asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use stageflow_events::EventRecord;
use stageflow_lens::{Analyzer, Arrival, Findings, ReadError, ReadErrorKind, Stories, read};

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    run: Option<String>,
    correlation: Option<String>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// The events that were asked for, in order.
    pub(crate) events: Vec<EventRecord>,
    /// How many more of them there are.
    pub(crate) more: u64,
    pub(crate) stories: Stories,
    pub(crate) findings: Findings,
    /// What breaks off at the end of a file.
    pub(crate) torn: Vec<ReadError>,
    wanted: Wanted,
}

/// More events are counted, and not shown.
const MOST_EVENTS: usize = 1_000_000;

/// Of so many runs the stories are kept, for drawings.
const MOST_RUNS: usize = 10_000;

impl Wanted {
    pub(crate) fn new(run: Option<String>, correlation: Option<String>) -> Self {
        Self { run, correlation }
    }

    pub(crate) fn fits(&self, record: &EventRecord) -> bool {
        let fits = |wanted: &Option<String>, id: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| id.starts_with(&**wanted))
        };
        fits(&self.run, &record.run_id) && fits(&self.correlation, &record.correlation_id)
    }
}

impl Read {
    /// Whether certain events were asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.run.is_some() || self.wanted.correlation.is_some()
    }

    /// Whether what can be read is of use all the same.
    pub(crate) fn goes_on_after(error: &ReadError) -> bool {
        error.kind() == ReadErrorKind::Torn
    }
}

/// The files of journals: a folder stands for all that are in it.
pub(crate) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReadError> {
    let files = paths.iter().map(read::files);
    Ok(files.collect::<Result<Vec<_>, _>>()?.concat())
}

/// All records, the oldest first.
pub(crate) fn records(
    files: &[PathBuf],
) -> Result<impl Iterator<Item = Result<EventRecord, ReadError>>, ReadError> {
    let journals: Vec<_> = files.iter().map(read::file).collect::<Result<_, _>>()?;
    Ok(read::merged(journals))
}

pub(crate) fn read(files: &[PathBuf], wanted: Wanted) -> Result<Read, ReadError> {
    let arrival = match files.len() {
        1 => Arrival::InOrder,
        _ => Arrival::AnyOrder,
    };
    let most = NonZeroUsize::MIN.saturating_add(MOST_RUNS - 1);
    let (mut analyzer, mut stories) = (Analyzer::new(arrival), Stories::new(most));
    let (mut events, mut more, mut torn) = (Vec::new(), 0, Vec::new());
    for record in records(files)? {
        let record = match record {
            Ok(record) => record,
            Err(error) if Read::goes_on_after(&error) => {
                torn.push(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        if !wanted.fits(&record) {
            continue;
        }
        analyzer.add(&record);
        stories.add(&record);
        if wanted.run.is_none() && wanted.correlation.is_none() {
            continue;
        }
        if events.len() < MOST_EVENTS {
            events.push(record);
        } else {
            more += 1;
        }
    }
    // Files are in order by themselves, and not with each other: sinks write in batches.
    let key = |event: &EventRecord| (event.time_us, event.run_id.clone(), event.seq);
    events.sort_by_cached_key(key);
    Ok(Read {
        events,
        more,
        stories,
        findings: analyzer.finish(),
        torn,
        wanted,
    })
}
