//! Metrics, summed up here and sent as totals since the start: what is lost on the way is made up for by the next time.

mod instrument;
mod series;

use std::num::NonZeroUsize;

use opentelemetry_proto::tonic::metrics::v1::Metric;
use stageflow_context::Outcome;

use self::instrument::Span as TimeSpan;
use self::instrument::{Instrument, SECONDS, TOKENS, WAITS};
pub(crate) use self::series::Source;
use crate::said::Said;
use crate::semconv;

/// The labels of each metric.
const RUN: &[&str] = &[semconv::PIPELINE, semconv::OUTCOME, semconv::ORG_ID];
const STAGE: &[&str] = &[
    semconv::PIPELINE,
    semconv::STAGE_NAME,
    semconv::OUTCOME,
    semconv::ORG_ID,
];
const ATTEMPT: &[&str] = &[
    semconv::PIPELINE,
    semconv::STAGE_NAME,
    semconv::OUTCOME,
    semconv::ERROR_TYPE,
    semconv::ORG_ID,
];
const CALL: &[&str] = &[
    semconv::GEN_AI_OPERATION_NAME,
    semconv::GEN_AI_REQUEST_MODEL,
    semconv::GEN_AI_PROVIDER_NAME,
    semconv::ERROR_TYPE,
];
const TOKEN: &[&str] = &[
    semconv::GEN_AI_OPERATION_NAME,
    semconv::GEN_AI_REQUEST_MODEL,
    semconv::GEN_AI_PROVIDER_NAME,
    semconv::GEN_AI_TOKEN_TYPE,
];

/// Whether the series of runs and stages are kept apart by org.
///
/// Orgs are many, and their names are not for everybody who may see a dashboard: so only if you ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrgLabel {
    /// No metric says which org.
    #[default]
    Absent,
    /// `stageflow.org.id` on the metrics of runs and stages. It counts towards the cap.
    Present,
}

/// Everything that is counted and measured.
pub(crate) struct Metrics {
    runs: Instrument,
    run_duration: Instrument,
    stage_duration: Instrument,
    stage_attempts: Instrument,
    dropped: Instrument,
    calls: Instrument,
    tokens: Instrument,
    unfinished: Instrument,
    unmatched: Instrument,
    orgs: OrgLabel,
    time: TimeSpan,
    changed: bool,
}

impl Metrics {
    pub(crate) fn new(cap: NonZeroUsize, orgs: OrgLabel) -> Self {
        use semconv as s;
        let cap = cap.get();
        let count = |name, about, keys| Instrument::counter(name, about, keys, cap);
        let measure = |what, buckets, keys| Instrument::histogram(what, buckets, keys, cap);
        let runs = (s::RUN_DURATION, "How long runs took");
        let stages = (
            s::STAGE_DURATION,
            "How long stages took, from their first attempt to their end",
        );
        let calls = (
            s::GEN_AI_CLIENT_OPERATION_DURATION,
            "How long calls to models and tools took",
        );
        let tokens = (s::GEN_AI_CLIENT_TOKEN_USAGE, "Tokens that calls used");
        Self {
            runs: count(s::RUN_COUNT, "Runs that ended", RUN),
            run_duration: measure(runs, &SECONDS, RUN),
            stage_duration: measure(stages, &SECONDS, STAGE),
            stage_attempts: count(s::STAGE_ATTEMPTS, "Attempts of stages", ATTEMPT),
            dropped: count(
                s::EVENTS_DROPPED,
                "Events that were lost on their way",
                &[s::REASON],
            ),
            calls: measure(calls, &WAITS, CALL),
            tokens: measure(tokens, &TOKENS, TOKEN),
            unfinished: count(s::SPANS_UNFINISHED, "Spans sent without their end", &[]),
            unmatched: count(
                s::SPANS_UNMATCHED,
                "Ends of spans whose start was not seen",
                &[],
            ),
            orgs,
            time: TimeSpan::default(),
            changed: false,
        }
    }

    /// Counts what the event alone says.
    pub(crate) fn apply(&mut self, said: &Said, is_sampled: bool) {
        self.time.include(said.at());
        if !matches!(
            said.kind(),
            "run.ended" | "stage.ended" | "telemetry.dropped"
        ) {
            return;
        }
        let source = Source::of(said).at(said.span, is_sampled, said.at());
        let outcome = said.data("outcome").unwrap_or_default();
        let (pipeline, org) = (&*said.record.pipeline, self.org(&source));
        match said.kind() {
            "run.ended" => {
                self.runs.add(&[pipeline, outcome, org], 1, &source);
                self.run_duration
                    .add(&[pipeline, outcome, org], said.record.elapsed_ns, &source);
            }
            "stage.ended" => {
                let stage = said.record.stage.as_deref().unwrap_or_default();
                let error = said.error_type().unwrap_or_default();
                self.stage_attempts
                    .add(&[pipeline, stage, outcome, error, org], 1, &source);
            }
            _ => self.lost(said, &source),
        }
        self.changed = true;
    }

    fn lost(&mut self, said: &Said, source: &Source) {
        let reasons = said
            .record
            .data
            .get("reasons")
            .and_then(serde_json::Value::as_object);
        let mut named = 0;
        for (reason, count) in reasons.into_iter().flatten() {
            let count = count.as_u64().unwrap_or_default();
            named += count;
            self.dropped.add(&[reason], count, source);
        }
        let rest = said
            .number("count")
            .unwrap_or_default()
            .saturating_sub(named);
        if rest > 0 {
            self.dropped.add(&["unknown"], rest, source);
        }
    }

    /// A stage ended, after so many nanoseconds.
    pub(crate) fn stage(
        &mut self,
        source: &Source,
        stage: &str,
        outcome: Option<Outcome>,
        nanos: u64,
    ) {
        let outcome = outcome.map_or(semconv::UNFINISHED, Outcome::as_str);
        let org = self.org(source);
        self.stage_duration
            .add(&[source.pipeline(), stage, outcome, org], nanos, source);
        self.changed = true;
    }

    /// A call ended, after so many nanoseconds.
    pub(crate) fn operation(&mut self, said: &Said, nanos: u64, is_sampled: bool) {
        let what = said.data("operation").unwrap_or_default();
        if what == stageflow_context::OperationKind::Other.as_str() {
            return;
        }
        let source = Source::of(said).at(said.span, is_sampled, said.at());
        let (name, provider) = (
            said.data("name").unwrap_or_default(),
            said.data("provider").unwrap_or_default(),
        );
        let error = said.error_type().unwrap_or_default();
        self.calls
            .add(&[what, name, provider, error], nanos, &source);
        let used = |key: &str| said.record.data.get("usage")?.get(key)?.as_u64();
        for (kind, key) in [("input", "input_tokens"), ("output", "output_tokens")] {
            if let Some(tokens) = used(key).filter(|tokens| *tokens > 0) {
                self.tokens
                    .add(&[what, name, provider, kind], tokens, &source);
            }
        }
        self.changed = true;
    }

    pub(crate) fn unfinished(&mut self) {
        self.unfinished.add(&[], 1, &Source::default());
        self.changed = true;
    }

    pub(crate) fn unmatched(&mut self) {
        self.unmatched.add(&[], 1, &Source::default());
        self.changed = true;
    }

    /// Whether something was counted since it was last said that all was sent.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Everything counted so far has arrived.
    pub(crate) fn were_sent(&mut self) {
        self.changed = false;
    }

    /// Everything counted so far.
    pub(crate) fn collect(&self) -> Vec<Metric> {
        let all = [
            &self.runs,
            &self.run_duration,
            &self.stage_duration,
            &self.stage_attempts,
            &self.dropped,
            &self.calls,
            &self.tokens,
            &self.unfinished,
            &self.unmatched,
        ];
        all.into_iter()
            .filter_map(|instrument| instrument.metric(self.time))
            .collect()
    }

    fn org<'a>(&self, source: &'a Source) -> &'a str {
        match self.orgs {
            OrgLabel::Absent => "",
            OrgLabel::Present => source.org().unwrap_or_default(),
        }
    }
}
