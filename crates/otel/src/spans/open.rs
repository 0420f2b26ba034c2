//! A span that has not ended.

use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, Status};
use prost::Message;
use stageflow_context::{OperationKind, Outcome, TraceParent};

use crate::Content;
use crate::attributes::{Attributes, Holder};
use crate::request::{Items, nested};
use crate::said::{Said, is_error, some};
use crate::semconv;

/// Most events, and most links, of a span; those beyond are counted on it.
const MOST: usize = 128;

/// The numbers of the fields of a span that hold its events and its links.
const EVENTS: u32 = 11;
const LINKS: u32 = 13;

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
    attributes: Attributes,
    events: Parts,
    links: Parts,
}

/// Events or links of a span, as they stand in it.
#[derive(Default)]
struct Parts {
    bytes: Vec<u8>,
    count: usize,
    dropped: u32,
}

impl Parts {
    fn push(&mut self, field: u32, part: &impl Message, attributes: &Attributes) {
        if self.count == MOST {
            self.dropped += 1;
            return;
        }
        self.count += 1;
        nested(field, part, &[attributes.as_bytes()], &mut self.bytes);
    }
}

/// How a span ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) at: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) error_type: Option<String>,
    message: String,
    attributes: Attributes,
}

impl End {
    pub(super) fn of(said: &Said) -> Self {
        let mut attributes = Attributes::of(Holder::Span);
        said.ending(&mut attributes);
        usage(said, &mut attributes);
        some(&mut attributes, semconv::BECAUSE, said.data("because"));
        Self {
            at: said.at(),
            outcome: said.outcome(),
            error_type: said.error_type().map(str::to_owned),
            message: said
                .data("error")
                .or_else(|| said.data("reason"))
                .unwrap_or_default()
                .to_owned(),
            attributes,
        }
    }

    pub(super) fn unfinished(at: u64) -> Self {
        let mut attributes = Attributes::of(Holder::Span);
        attributes.text(semconv::ERROR_TYPE, semconv::UNFINISHED);
        Self {
            at,
            outcome: None,
            error_type: Some(semconv::UNFINISHED.to_owned()),
            message: "its end was never told".to_owned(),
            attributes,
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
        let mut attributes = Attributes::many(Holder::Span);
        said.identity(&mut attributes);
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
            events: Parts::default(),
            links: Parts::default(),
        }
    }

    /// One of several tries.
    fn tried(said: &Said, name: String, kind: SpanKind) -> Self {
        let mut open = Self::new(said, name, kind);
        said.attempt(&mut open.attributes);
        open
    }

    pub(super) fn run(said: &Said) -> Self {
        let pipeline = &said.record.pipeline;
        let name = format!("{} {pipeline}", semconv::INVOKE_WORKFLOW);
        let mut open = Self::tried(said, name, SpanKind::Internal);
        open.is_below_another_process = said.record.parent_run_id.is_none();
        let all = &mut open.attributes;
        all.text(semconv::GEN_AI_OPERATION_NAME, semconv::INVOKE_WORKFLOW);
        all.text(semconv::GEN_AI_WORKFLOW_NAME, pipeline);
        let session = said.record.session_id.as_deref();
        some(all, semconv::GEN_AI_CONVERSATION_ID, session);
        if let Some(why) = said.data("trace_refused") {
            all.text(semconv::TRACE_REFUSED, why);
            let meant = said
                .data("trace_meant")
                .and_then(|text| text.parse::<TraceParent>().ok());
            if let Some(meant) = meant {
                let mut about = Attributes::of(Holder::Link);
                about.text(semconv::TRACE_REFUSED, why);
                let (trace, span) = (meant.trace_id.to_bytes(), meant.span_id.to_bytes());
                open.link(trace, span, &about);
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
        open
    }

    pub(super) fn attempt(said: &Said) -> Self {
        let attempt = said.record.attempt.unwrap_or_default();
        Self::tried(said, format!("attempt {attempt}"), SpanKind::Internal)
    }

    pub(super) fn part(said: &Said) -> Self {
        let stage = said.record.stage.as_deref().unwrap_or_default();
        Self::tried(said, format!("part {stage}"), SpanKind::Internal)
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
        let mut open = Self::tried(said, title, kind);
        operation(said, &mut open.attributes);
        open
    }

    pub(super) fn with(&mut self, key: &str, value: &str) {
        self.attributes.text(key, value);
    }

    /// Something that happened while it was open.
    pub(super) fn add(&mut self, said: &Said, content: Content) {
        let mut attributes = Attributes::of(Holder::Event);
        said.ending(&mut attributes);
        details(said, content, &mut attributes);
        let event = Event {
            time_unix_nano: said.at(),
            name: said.kind().to_owned(),
            ..Event::default()
        };
        self.events.push(EVENTS, &event, &attributes);
    }

    pub(super) fn link_upstream(&mut self, span: [u8; 8], stage: &str) {
        let mut about = Attributes::of(Holder::Link);
        about.text(semconv::LINK, "upstream");
        about.text(semconv::STAGE_NAME, stage);
        self.link(self.trace, span, &about);
    }

    fn link(&mut self, trace: [u8; 16], span: [u8; 8], attributes: &Attributes) {
        let link = Link {
            trace_id: trace.to_vec(),
            span_id: span.to_vec(),
            ..Link::default()
        };
        self.links.push(LINKS, &link, attributes);
    }

    /// Writes the span, which ended like this.
    pub(super) fn end(self, id: [u8; 8], end: &End, out: &mut Items) {
        let remote = match (self.is_below_another_process, self.parent) {
            (true, Some(_)) => SpanFlags::ContextIsRemoteMask as u32,
            _ => 0,
        };
        let span = Span {
            trace_id: self.trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: self.parent.map(|id| id.to_vec()).unwrap_or_default(),
            flags: 1 | SpanFlags::ContextHasIsRemoteMask as u32 | remote,
            name: self.name,
            kind: self.kind.into(),
            start_time_unix_nano: self.start,
            end_time_unix_nano: end.at.max(self.start),
            dropped_events_count: self.events.dropped,
            dropped_links_count: self.links.dropped,
            status: end.status(),
            ..Span::default()
        };
        let rest = [
            self.attributes.as_bytes(),
            end.attributes.as_bytes(),
            &self.events.bytes,
            &self.links.bytes,
        ];
        out.push(&span, &rest);
    }
}

/// What is called, in the words of the conventions.
pub(crate) fn operation(said: &Said, all: &mut Attributes) {
    let name = said.data("name").unwrap_or_default();
    let what = said.data("operation").unwrap_or_default();
    if what == OperationKind::Other.as_str() {
        return all.text(semconv::OPERATION_NAME, name);
    }
    all.text(semconv::GEN_AI_OPERATION_NAME, what);
    let key = match what {
        _ if what == OperationKind::ExecuteTool.as_str() => semconv::GEN_AI_TOOL_NAME,
        _ => semconv::GEN_AI_REQUEST_MODEL,
    };
    all.text(key, name);
    some(all, semconv::GEN_AI_PROVIDER_NAME, said.data("provider"));
}

/// What a call used up, where that is known.
pub(crate) fn usage(said: &Said, all: &mut Attributes) {
    let Some(usage) = said.record.data.get("usage") else {
        return;
    };
    let figures = [
        (semconv::GEN_AI_USAGE_INPUT_TOKENS, "input_tokens"),
        (semconv::GEN_AI_USAGE_OUTPUT_TOKENS, "output_tokens"),
        (semconv::COST_MICROS, "cost"),
    ];
    for (key, name) in figures {
        let used = usage.get(name).and_then(serde_json::Value::as_u64);
        if let Some(used) = used.filter(|used| *used > 0) {
            all.number(key, used);
        }
    }
}

/// What else there is to say about an event, by its type.
pub(crate) fn details(said: &Said, content: Content, all: &mut Attributes) {
    if said.is_note() {
        return match content {
            Content::Captured => said.payload(all),
            Content::Hidden => {}
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
    for (key, name) in texts {
        some(all, key, said.data(name));
    }
    for (key, name) in numbers {
        if let Some(number) = said.number(name) {
            all.number(key, number);
        }
    }
}
