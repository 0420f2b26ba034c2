//! A span that has not ended.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, Status};
use stageflow_context::{OperationKind, Outcome, TraceParent};

use crate::Content;
use crate::said::{Said, is_error};
use crate::semconv;
use crate::values::{number, text};

/// Most events, and most links, of a span; those beyond are counted on it.
const MOST: usize = 128;

pub(super) struct Open {
    pub(super) name: String,
    pub(super) start: u64,
    /// A stage's span, which waits for the run's end: it may be tried again.
    pub(super) is_stage: bool,
    /// How a stage's last attempt ended so far.
    pub(super) ended: Option<End>,
    kind: SpanKind,
    trace: [u8; 16],
    parent: Option<[u8; 8]>,
    is_below_another_process: bool,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    dropped_events: u32,
    links: Vec<Link>,
    dropped_links: u32,
}

/// How a span ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) at: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) error_type: Option<String>,
    message: String,
    attributes: Vec<KeyValue>,
}

impl End {
    pub(super) fn of(said: &Said) -> Self {
        let mut attributes = Vec::new();
        said.ending(&mut attributes);
        attributes.extend(usage(said));
        attributes.extend(
            said.data("because")
                .map(|stage| text(semconv::BECAUSE, stage)),
        );
        Self {
            at: said.at(),
            outcome: said.outcome(),
            error_type: said.error_type(),
            message: said
                .data("error")
                .or_else(|| said.data("reason"))
                .unwrap_or_default()
                .to_owned(),
            attributes,
        }
    }

    pub(super) fn unfinished(at: u64) -> Self {
        Self {
            at,
            outcome: None,
            error_type: Some(semconv::UNFINISHED.to_owned()),
            message: "its end was never told".to_owned(),
            attributes: vec![text(semconv::ERROR_TYPE, semconv::UNFINISHED)],
        }
    }

    fn status(&self) -> Option<Status> {
        let is_error = self
            .outcome
            .map_or_else(|| self.error_type.is_some(), is_error);
        is_error.then(|| Status {
            message: self.message.clone(),
            code: StatusCode::Error.into(),
        })
    }
}

impl Open {
    fn new(said: &Said, name: String, kind: SpanKind) -> Self {
        let mut attributes = said.identity();
        said.place(&mut attributes);
        Self {
            name,
            start: said.at(),
            is_stage: false,
            ended: None,
            kind,
            trace: said.trace,
            parent: said.parent,
            is_below_another_process: false,
            attributes,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
        }
    }

    pub(super) fn run(said: &Said) -> Self {
        let pipeline = &said.record.pipeline;
        let name = format!("{} {pipeline}", semconv::INVOKE_WORKFLOW);
        let mut open = Self::new(said, name, SpanKind::Internal);
        open.is_below_another_process = said.record.parent_run_id.is_none();
        let session = said.record.session_id.as_deref();
        open.attributes.extend([
            text(semconv::GEN_AI_OPERATION_NAME, semconv::INVOKE_WORKFLOW),
            text(semconv::GEN_AI_WORKFLOW_NAME, &**pipeline),
        ]);
        open.attributes
            .extend(session.map(|id| text(semconv::GEN_AI_CONVERSATION_ID, id)));
        if let Some(why) = said.data("trace_refused") {
            open.attributes.push(text(semconv::TRACE_REFUSED, why));
            let meant = said
                .data("trace_meant")
                .and_then(|text| text.parse::<TraceParent>().ok());
            if let Some(meant) = meant {
                let why = text(semconv::TRACE_REFUSED, why);
                open.link(
                    meant.trace_id.to_bytes(),
                    meant.span_id.to_bytes(),
                    vec![why],
                );
            }
        }
        open
    }

    /// The span of the stage that `said` is about, in that of its run.
    pub(super) fn stage(said: &Said, run: Option<[u8; 8]>) -> Self {
        let stage = said.record.stage.as_deref().unwrap_or_default();
        let mut open = Self::new(said, format!("stage {stage}"), SpanKind::Internal);
        open.parent = run;
        open.is_stage = true;
        open.attributes
            .retain(|attribute| attribute.key != semconv::ATTEMPT);
        open
    }

    pub(super) fn attempt(said: &Said) -> Self {
        let attempt = said.record.attempt.unwrap_or_default();
        Self::new(said, format!("attempt {attempt}"), SpanKind::Internal)
    }

    pub(super) fn part(said: &Said) -> Self {
        let stage = said.record.stage.as_deref().unwrap_or_default();
        Self::new(said, format!("part {stage}"), SpanKind::Internal)
    }

    pub(super) fn operation(said: &Said) -> Self {
        let name = said.data("name").unwrap_or_default();
        let what = said.data("operation").unwrap_or_default();
        let is = |kind: OperationKind| kind.as_str() == what;
        let kind = match what {
            _ if is(OperationKind::ExecuteTool) => SpanKind::Internal,
            _ => SpanKind::Client,
        };
        let title = match what {
            _ if is(OperationKind::Other) => name.to_owned(),
            what => format!("{what} {name}"),
        };
        let mut open = Self::new(said, title, kind);
        open.attributes.extend(operation(said));
        open
    }

    pub(super) fn with(&mut self, attribute: KeyValue) {
        self.attributes.push(attribute);
    }

    /// Something that happened while it was open.
    pub(super) fn add(&mut self, said: &Said, content: Content) {
        if self.events.len() == MOST {
            self.dropped_events += 1;
            return;
        }
        let mut attributes = Vec::new();
        said.ending(&mut attributes);
        attributes.extend(details(said, content));
        self.events.push(Event {
            time_unix_nano: said.at(),
            name: said.kind().to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
    }

    pub(super) fn link_upstream(&mut self, span: [u8; 8], stage: &str) {
        let about = vec![
            text(semconv::LINK, "upstream"),
            text(semconv::STAGE_NAME, stage),
        ];
        self.link(self.trace, span, about);
    }

    fn link(&mut self, trace: [u8; 16], span: [u8; 8], attributes: Vec<KeyValue>) {
        if self.links.len() == MOST {
            self.dropped_links += 1;
            return;
        }
        self.links.push(Link {
            trace_id: trace.to_vec(),
            span_id: span.to_vec(),
            attributes,
            ..Link::default()
        });
    }

    pub(super) fn end(mut self, id: [u8; 8], end: &End) -> Span {
        self.attributes.extend(end.attributes.iter().cloned());
        let remote = match (self.is_below_another_process, self.parent) {
            (true, Some(_)) => SpanFlags::ContextIsRemoteMask as u32,
            _ => 0,
        };
        Span {
            trace_id: self.trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: self.parent.map(|id| id.to_vec()).unwrap_or_default(),
            flags: 1 | SpanFlags::ContextHasIsRemoteMask as u32 | remote,
            name: self.name,
            kind: self.kind.into(),
            start_time_unix_nano: self.start,
            end_time_unix_nano: end.at.max(self.start),
            attributes: self.attributes,
            events: self.events,
            dropped_events_count: self.dropped_events,
            links: self.links,
            dropped_links_count: self.dropped_links,
            status: end.status(),
            ..Span::default()
        }
    }
}

/// What is called, in the words of the conventions.
pub(crate) fn operation(said: &Said) -> Vec<KeyValue> {
    let name = said.data("name").unwrap_or_default();
    let what = said.data("operation").unwrap_or_default();
    let provider = said
        .data("provider")
        .map(|provider| text(semconv::GEN_AI_PROVIDER_NAME, provider));
    let mut all = Vec::with_capacity(4);
    if what == OperationKind::Other.as_str() {
        all.push(text(semconv::OPERATION_NAME, name));
        return all;
    }
    all.push(text(semconv::GEN_AI_OPERATION_NAME, what));
    all.push(match what {
        _ if what == OperationKind::ExecuteTool.as_str() => text(semconv::GEN_AI_TOOL_NAME, name),
        _ => text(semconv::GEN_AI_REQUEST_MODEL, name),
    });
    all.extend(provider);
    all
}

/// What a call used up, where that is known.
pub(crate) fn usage(said: &Said) -> Vec<KeyValue> {
    let used = |key: &str| {
        said.record
            .data
            .get("usage")?
            .get(key)?
            .as_u64()
            .filter(|used| *used > 0)
    };
    let all = [
        (semconv::GEN_AI_USAGE_INPUT_TOKENS, used("input_tokens")),
        (semconv::GEN_AI_USAGE_OUTPUT_TOKENS, used("output_tokens")),
        (semconv::COST_MICROS, used("cost")),
    ];
    all.into_iter()
        .filter_map(|(key, used)| Some(number(key, used?)))
        .collect()
}

/// What else there is to say about an event, by its type.
pub(crate) fn details(said: &Said, content: Content) -> Vec<KeyValue> {
    if said.is_note() {
        return match content {
            Content::Captured => vec![said.payload()],
            Content::Hidden => Vec::new(),
        };
    }
    let texts = [
        (semconv::APPROVAL_ID, "approval"),
        (semconv::APPROVAL_STATE, "state"),
        (semconv::BECAUSE, "because"),
        (semconv::BUDGET, "budget"),
        (semconv::CLEANUP, "cleanup"),
        (semconv::EXCEPTION_MESSAGE, "error"),
    ];
    let numbers = [
        (semconv::HELD_MICROS, "held_us"),
        (semconv::LOST_COUNT, "count"),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(key, name)| Some(text(key, said.data(name)?)));
    let numbers = numbers
        .into_iter()
        .filter_map(|(key, name)| Some(number(key, said.number(name)?)));
    texts.chain(numbers).collect()
}
