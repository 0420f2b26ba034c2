//! The names under which calls to models and tools are sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{Operation, Usage};
use stageflow::events::Stopping;
use stageflow::prelude::*;
use stageflow_executor::EngineBuilder;
use stageflow_otel::testing::proto::common::v1::KeyValue;
use stageflow_otel::testing::proto::trace::v1::Span;
use stageflow_otel::testing::{Receiver, attribute};
use stageflow_otel::{Content, Otlp, semconv};

use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Theme, Tier};

/// The attributes of the `GenAI` conventions, written down here once more: what is compared with itself is always right.
const GEN_AI: &[&str] = &[
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.output.type",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.token.type",
    "gen_ai.tool.call.id",
    "gen_ai.tool.name",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.workflow.name",
];

/// What the conventions ask of every span of an operation.
const REQUIRED: &[(&str, &[&str])] = &[
    (
        "invoke_workflow",
        &["gen_ai.operation.name", "gen_ai.workflow.name"],
    ),
    (
        "chat",
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
        ],
    ),
    (
        "embeddings",
        &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
        ],
    ),
    (
        "execute_tool",
        &["gen_ai.operation.name", "gen_ai.tool.name"],
    ),
];

/// A prompt, which must not turn up anywhere.
const PROMPT: &str = "who is the owner of account 4711";

pub(super) fn scenario() -> Scenario {
    Scenario::new("THU-GENAI", "names of attributes")
        .proves("telemetry of models uses the names that others look for, and has nothing of what was said in it")
        .theme(Theme::Thu)
        .tier(Tier::Smoke)
        .targets(["OBS-003"])
        .expected(Duration::from_secs(1))
        .control(Control::own("misspelt", "calls the model `gen_ai.model`"))
        .control(Control::own("incomplete", "leaves out which operation it is"))
        .control(Control::own("talkative", "sends what stages say in notes"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let content = if lab.is_broken("talkative") {
        Content::Captured
    } else {
        Content::Hidden
    };
    let engine = lab.engine();
    let sent = lab.on(Runtime::Ct, send(engine, content))?;
    let (mut spans, others) = sent.map_err(LabError::new)?;
    lab.count_trials(1);
    break_on_purpose(lab, &mut spans);
    let all: Vec<&KeyValue> = spans
        .iter()
        .flat_map(|span| {
            span.attributes
                .iter()
                .chain(span.events.iter().flat_map(|event| &event.attributes))
        })
        .chain(&others)
        .collect();
    let names: BTreeSet<&str> = all.iter().map(|attribute| &*attribute.key).collect();
    known(lab, &names);
    lab.check(
        all.iter().all(|one| {
            attribute(std::slice::from_ref(*one), &one.key)
                .is_none_or(|text| !text.contains(PROMPT))
        }),
        "what was said to a model is in no attribute",
        Breach::CrossTenant,
        || "the prompt was sent".to_owned(),
    );
    for (operation, required) in REQUIRED {
        complete(lab, &spans, operation, required);
    }
    lab.metric("names", "count", names.len() as f64);
    Ok(())
}

/// Two of the controls.
fn break_on_purpose(lab: &Lab, spans: &mut [Span]) {
    for span in spans {
        if lab.is_broken("misspelt") {
            let model = span
                .attributes
                .iter_mut()
                .find(|attribute| attribute.key == "gen_ai.request.model");
            model
                .into_iter()
                .for_each(|model| "gen_ai.model".clone_into(&mut model.key));
        }
        if lab.is_broken("incomplete") {
            span.attributes
                .retain(|attribute| attribute.key != "gen_ai.operation.name");
        }
    }
}

fn known(lab: &Lab, names: &BTreeSet<&str>) {
    for name in names {
        let is_known = if name.starts_with("gen_ai.") {
            GEN_AI.contains(name) && semconv::STANDARD.contains(name)
        } else if name.starts_with("stageflow.") {
            semconv::OWN.contains(name)
        } else {
            semconv::STANDARD.contains(name)
        };
        lab.check(
            is_known,
            "every name is one of the lists",
            Breach::WrongStatus,
            || format!("`{name}`"),
        );
    }
}

/// Every span of the operation has what the conventions ask for, and there is one.
fn complete(lab: &Lab, spans: &[Span], operation: &str, required: &[&str]) {
    let mut of = spans
        .iter()
        .filter(|span| span.name.starts_with(operation))
        .peekable();
    lab.check(
        of.peek().is_some(),
        "every operation has a span",
        Breach::Lost,
        || operation.to_owned(),
    );
    for span in of {
        let missing: Vec<_> = required
            .iter()
            .filter(|name| attribute(&span.attributes, name).is_none())
            .collect();
        let (rest, said) = (
            &span.name[operation.len()..],
            attribute(&span.attributes, "gen_ai.operation.name"),
        );
        lab.check(
            missing.is_empty() && rest.starts_with(' ') && said.as_deref() == Some(operation),
            "a span has what the conventions ask for",
            Breach::WrongStatus,
            || format!("`{}` lacks {missing:?}, and says {said:?}", span.name),
        );
    }
}

type Sent = (Vec<Span>, Vec<KeyValue>);

/// Spans, and the attributes of log records.
async fn send(
    engine: EngineBuilder,
    content: Content,
) -> Result<Sent, Box<dyn std::error::Error + Send + Sync>> {
    let receiver = Receiver::start().await?;
    let otlp = Otlp::builder(receiver.endpoint())
        .content(content)
        .start()?;
    let engine = engine.events(otlp.sink()).build();
    let mut p = Pipeline::builder("ask");
    let question = p.input::<String>();
    let vector = stage_fn(async |cx: StageCx, text: Arc<String>| {
        let call = Operation::embeddings("tiny").provider("acme");
        cx.operation(call, async |_| Ok::<_, Stop>(text.len() as u64))
            .await
    });
    let vector = p.stage("embed", vector).after(question);
    let answer = stage_fn(async |cx: StageCx, (text, n): (Arc<String>, Arc<u64>)| {
        cx.try_emit("prompt.made", serde_json::json!({ "prompt": &*text }))?;
        let call = Operation::chat("small").provider("acme");
        cx.operation(call, async |op| {
            op.used(Usage::tokens(9, 4));
            op.operation(Operation::tool("lookup"), async |_| Ok::<_, Stop>(*n))
                .await
        })
        .await
    });
    let answer = p.stage("answer", answer).after((question, vector));
    let store = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        let call = cx.operation(Operation::named("store"), async |_| {
            Err::<u64, _>(Stop::fail("the store is away"))
        });
        call.await.or(Ok::<_, Stop>(*n))
    });
    let stored = p.stage("store", store).after(answer);
    let pipeline = p.output(stored).build()?;
    let report = engine
        .run(&pipeline, PROMPT.to_owned(), RunOptions::new())
        .await;
    report.output()?;
    otlp.stop(Stopping::Drain, Duration::from_secs(2)).await;
    let others = receiver
        .logs()
        .into_iter()
        .flat_map(|log| log.attributes)
        .collect();
    Ok((receiver.spans(), others))
}
