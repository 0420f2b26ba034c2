//! Spans, put together of the events that open and close them.
//!
//! ```text
//!   run.started ─▶ open ─▶ run.ended                    invoke_workflow {pipeline}
//!     first stage.started ─▶ open ─▶ the run's end        stage {name}      ends when its last attempt or answer did
//!       stage.started ─▶ open ─▶ stage.ended                attempt {n}
//!         part.started ─▶ open ─▶ part.ended                  part {stage}
//!         operation.started ─▶ open ─▶ operation.ended        chat {model} | execute_tool {tool} | ...
//! ```

mod open;
mod run;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use self::open::{End, Open};
pub(crate) use self::open::{details, operation, usage};
use self::run::OpenRun;
use crate::metrics::Metrics;
use crate::request::Items;
use crate::said::Said;
use crate::{Content, Ratio};

/// The spans that are open. At most so many: beyond it those of the oldest run are sent as they are.
pub(crate) struct Spans {
    runs: HashMap<Arc<str>, OpenRun>,
    /// The oldest first; some of them may be over.
    order: VecDeque<Arc<str>>,
    open: usize,
    limits: Limits,
    /// Those that ended since they were last taken, of traces that are sent.
    pub(crate) ended: Items,
}

/// What was chosen about spans.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) most: NonZeroUsize,
    pub(crate) sample: Ratio,
    pub(crate) content: Content,
}

impl Spans {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            runs: HashMap::new(),
            order: VecDeque::new(),
            open: 0,
            limits,
            ended: Items::default(),
        }
    }

    /// Opens, closes, adds to: whatever the event means for spans.
    pub(crate) fn apply(&mut self, said: &Said, metrics: &mut Metrics) {
        // What a sink says of what it lost belongs to a run that may be over long since.
        if said.kind() == "telemetry.dropped" {
            return;
        }
        if said.kind() == "run.ended" {
            return self.end_run(said, metrics);
        }
        let Limits { content, .. } = self.limits;
        let (run, ended) = self.run(said);
        let before = run.spans.len();
        match said.kind() {
            "run.started" => run.open(said, Open::run(said)),
            "stage.started" => {
                run.begin_stage(said);
                run.open(said, Open::attempt(said));
            }
            "part.started" => run.open(said, Open::part(said)),
            "operation.started" => run.open(said, Open::operation(said)),
            "stage.ended" => {
                run.close(said, metrics, ended);
                run.end_stage(said.parent.unwrap_or(said.span), said);
            }
            "stage.answered" | "stage.resolved" | "stage.skipped" => run.settle_stage(said),
            "part.answered" if said.record.attempt == Some(0) => {
                run.write(said.span, Open::part(said), &End::of(said), ended);
            }
            "part.ended" | "operation.ended" => run.close(said, metrics, ended),
            _ => run.add(said, content),
        }
        let after = run.spans.len();
        self.open = (self.open + after).saturating_sub(before);
        while self.open > self.limits.most.get() && self.relieve(metrics) {}
    }

    /// The run that `said` is about, and where its ended spans go.
    fn run(&mut self, said: &Said) -> (&mut OpenRun, &mut Items) {
        // The list of runs stays about as short as the table of runs.
        if self.order.len() > 2 * self.runs.len() + 16 {
            let runs = &self.runs;
            self.order.retain(|id| runs.contains_key(id));
        }
        let order = &mut self.order;
        let id: Arc<str> = said.record.run_id.as_str().into();
        let run = self.runs.entry(id).or_insert_with_key(|id| {
            order.push_back(Arc::clone(id));
            OpenRun::new(said, self.limits.sample)
        });
        (run, &mut self.ended)
    }

    fn end_run(&mut self, said: &Said, metrics: &mut Metrics) {
        let Some(mut run) = self.runs.remove(&*said.record.run_id) else {
            return metrics.unmatched();
        };
        self.open = self.open.saturating_sub(run.spans.len());
        let own = run.take(said, metrics);
        run.end_all(said.at(), metrics, &mut self.ended);
        if let Some(own) = own {
            run.write(said.span, own, &End::of(said), &mut self.ended);
        }
    }

    /// Sends what can be sent of the oldest run: stages that have ended, or everything if those are few. Whether there was
    /// a run.
    fn relieve(&mut self, metrics: &mut Metrics) -> bool {
        while let Some(id) = self.order.front() {
            let Some(run) = self.runs.get_mut(id) else {
                self.order.pop_front();
                continue;
            };
            let before = run.spans.len();
            run.end_settled(metrics, &mut self.ended);
            // Looking for them again and again would cost more than they give.
            if before - run.spans.len() < before / 8 + 1 {
                run.end_all(run.last, metrics, &mut self.ended);
            }
            self.open = (self.open + run.spans.len()).saturating_sub(before);
            if run.spans.is_empty() {
                self.runs.remove(id);
                self.order.pop_front();
            }
            return true;
        }
        false
    }
}
