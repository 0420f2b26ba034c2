//! The places where secrets turn up, and a stage that brings them there.

use std::io;
use std::sync::Arc;

use serde_json::json;
use stageflow::context::{Operation, PartLimits, Step, TraceContext};
use stageflow::interceptors::{Call, Flow};
use stageflow::prelude::*;

use super::canary::Canary;

/// Where a canary is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the cause of a failure, two errors deep.
    Error,
    Panic,
    /// In the path of a file that is not there.
    Path,
    Skip,
    /// By the stage, with a reason.
    Cancel,
    /// By whoever holds the handle.
    CancelFromOutside,
    Retry,
    /// A layer refuses the call, and says why.
    Denied,
    /// In the name of a cleanup, and in what went wrong with it.
    Cleanup,
    /// In the payload of a note: texts, lists, and under the name of a secret.
    Note,
    /// In the arguments of a tool, as a note; and in what went wrong with the tool.
    Tool,
    /// In the error of a part of the stage.
    Part,
    /// In the error of a run that the stage has started.
    Child,
    /// In the headers that came with the request.
    Header,
    /// In what was known when the run started.
    Snapshot,
    /// In a log line of the stage's own.
    Line,
}

impl Place {
    pub(super) const ALL: [Self; 16] = [
        Self::Error,
        Self::Panic,
        Self::Path,
        Self::Skip,
        Self::Cancel,
        Self::CancelFromOutside,
        Self::Retry,
        Self::Denied,
        Self::Cleanup,
        Self::Note,
        Self::Tool,
        Self::Part,
        Self::Child,
        Self::Header,
        Self::Snapshot,
        Self::Line,
    ];
}

/// One canary on its way to its place.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) place: Place,
    pub(super) canary: Canary,
}

/// Two pipelines: the second one is started by the first.
pub(super) fn pipeline() -> Result<Pipeline<Errand, String>, stageflow::graph::BuildError> {
    let one = |name: &str, child: Option<Pipeline<Errand, String>>| {
        let mut p = Pipeline::builder(name);
        let errand = p.input::<Errand>();
        let stage = stage_fn(move |cx: StageCx, errand: Arc<Errand>| {
            let child = child.clone();
            async move { bring(&cx, &errand, child.as_ref()).await }
        });
        let bring = p.stage("bring", stage).after(errand);
        p.output(bring).build()
    };
    let child = one("inner", None)?;
    one("outer", Some(child))
}

async fn bring(
    cx: &StageCx,
    Errand { place, canary }: &Errand,
    child: Option<&Pipeline<Errand, String>>,
) -> Result<String, Stop> {
    let text = format!("it says {}", canary.text);
    match place {
        Place::Error => {
            let cause = io::Error::other(text);
            return Err(Stop::fail(io::Error::other(cause)));
        }
        Place::Panic => std::panic::resume_unwind(Box::new(text)),
        Place::Path => {
            let path = format!("/srv/none/{}", canary.text);
            return Err(Stop::fail(format!(
                "cannot open {path:?}: No such file or directory (os error 2)"
            )));
        }
        Place::Skip => return Err(Stop::skip(text)),
        Place::Cancel => return Err(Stop::cancel(text)),
        Place::CancelFromOutside => cx.cancelled().await,
        Place::Retry => return Err(Stop::retry(text)),
        Place::Cleanup => cx.on_cleanup(format!("close {text}"), async move || Err::<(), _>(text)),
        Place::Note => note(cx, canary)?,
        Place::Tool => tool(cx, canary).await?,
        Place::Part => {
            let work = |_: StageCx| {
                let text = text.clone();
                async move { Err::<(), _>(Stop::transient(text)) }
            };
            cx.call(Step::Item(0), PartLimits::default(), work).await?;
        }
        Place::Child => {
            let Some(child) = child else {
                return Err(Stop::fail(text));
            };
            let errand = Errand {
                place: *place,
                canary: canary.clone(),
            };
            cx.run(child, errand).await?;
        }
        Place::Line => {
            let secret = canary.secret.as_str();
            tracing::info!(password = secret, said = text, "I heard that {text}");
            cx.in_span(|| tracing::warn!("on the side: {text}"));
        }
        Place::Denied | Place::Header | Place::Snapshot => {}
    }
    // Whatever it gives is its own affair: outputs are not written down.
    Ok(canary.secret.clone())
}

fn note(cx: &StageCx, canary: &Canary) -> Result<(), Stop> {
    let payload = json!({
        "said": canary.text,
        "deep": { "list": [[{ "said": canary.text, "dbPassword": { "is": canary.secret } }]] },
        "headers": [{ "name": "Authorization", "value": canary.secret }, ["Cookie", canary.secret]],
        "pages": 3,
    });
    Ok(cx.try_emit("docs.heard", payload)?)
}

async fn tool(cx: &StageCx, canary: &Canary) -> Result<(), Stop> {
    let arguments = json!({ "arguments": { "url": canary.text, "token": canary.secret } });
    cx.try_emit("tool.called", arguments)?;
    let failed = cx
        .operation(Operation::tool("search").provider("here"), |_| async {
            Err::<(), _>(io::Error::other(canary.text.clone()))
        })
        .await;
    Ok(failed?)
}

/// Refuses calls whose run says so.
pub(super) struct Bouncer;

const DENY: &str = "deny: ";

impl Hook for Bouncer {
    fn name(&self) -> &str {
        "bouncer"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let text = call.host().snapshot().input_text();
        match text.and_then(|text| text.strip_prefix(DENY)) {
            Some(why) => Flow::Deny(call.denied("bouncer", why)),
            None => Flow::Continue,
        }
    }
}

/// What a run with this errand is started with.
pub(super) fn options(errand: &Errand, identity: RunIdentity) -> RunOptions {
    let text = &errand.canary.text;
    let snapshot = ContextSnapshot::new(identity);
    let snapshot = match errand.place {
        Place::Denied => snapshot.with_input_text(format!("{DENY}{text}")),
        Place::Snapshot => snapshot.with_input_text(text.as_str()),
        _ => snapshot,
    };
    let options = RunOptions::new().snapshot(snapshot);
    if errand.place != Place::Header {
        return options;
    }
    let secret = &errand.canary.secret;
    options.trace(TraceContext::from_headers([
        ("traceparent", text.as_str()),
        ("tracestate", &format!("a={secret}")),
        ("baggage", &format!("token={secret}")),
        ("authorization", secret),
    ]))
}
