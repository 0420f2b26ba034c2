//! What the service does, each as a pipeline: so that whoever asks for it is checked, counted and told of in one way.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use stageflow::context::{AuditArea, AuditNotice, RunId, SealKeys, Subject, UserId};
use stageflow::graph::BuildError;
use stageflow::prelude::*;
use stageflow::tenancy::{TenantScope, Tenants};
use stageflow_store::{AuditTrail, Erasure, RunRecord, Runs, Shelf, Store as _};

use crate::answer::compose::Composition;
use crate::catalogue::{self, Catalogue};
use crate::database::Database;
use crate::library::{Libraries, Library};

/// A document on its way in.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What became of a question.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    answer: Vec<Sentence>,
}

/// A sentence of an answer, and where it stands.
#[derive(Debug, Serialize)]
struct Sentence {
    text: String,
    document: String,
    line: u32,
    quote: String,
}

/// All there is to do.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) ask: Pipeline<String, Answer>,
    pub(crate) put: Pipeline<Upload, ()>,
    pub(crate) list: Pipeline<(), Value>,
    pub(crate) remove: Pipeline<String, bool>,
    pub(crate) run: Pipeline<RunId, Option<RunRecord>>,
    pub(crate) usage: Pipeline<(), Value>,
    pub(crate) audit: Pipeline<(), AuditTrail>,
    pub(crate) erase: Pipeline<UserId, String>,
}

/// What the stages need.
#[derive(Debug)]
pub(crate) struct Desk {
    database: Database,
    libraries: Libraries,
    tenants: Tenants,
    keys: Arc<SealKeys>,
    erasure: Erasure,
}

impl Work {
    pub(crate) fn new(
        database: Database,
        tenants: Tenants,
        keys: Arc<SealKeys>,
    ) -> Result<Self, BuildError> {
        let desk = Arc::new(Desk {
            libraries: Libraries::new(database.clone()),
            erasure: Erasure::new(database.clone(), Arc::clone(&keys)),
            database,
            tenants,
            keys,
        });
        Ok(Self {
            ask: ask(&desk)?,
            put: one("put-document", "kb:write", &desk, put)?,
            list: one("list-documents", "kb:read", &desk, list)?,
            remove: one("remove-document", "kb:write", &desk, remove)?,
            run: one("read-run", "kb:read", &desk, run)?,
            usage: one("read-usage", "usage:read", &desk, usage)?,
            audit: one("read-audit", "audit:read", &desk, audit)?,
            erase: one("erase-user", "users:erase", &desk, erase)?,
        })
    }
}

/// A pipeline of one stage, for those who have this permission.
fn one<I, O, W, F>(
    name: &str,
    permission: &str,
    desk: &Arc<Desk>,
    work: W,
) -> Result<Pipeline<I, O>, BuildError>
where
    I: Send + Sync + 'static,
    O: Send + Sync + 'static,
    W: Fn(Arc<Desk>, StageCx, Arc<I>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, Stop>> + Send + 'static,
{
    let desk = Arc::clone(desk);
    let work = move |cx: StageCx, input: Arc<I>| work(Arc::clone(&desk), cx, input);
    let mut p = Pipeline::builder(name);
    let input = p.input::<I>();
    let output = p
        .stage(name, stage_fn(work))
        .require(permission)
        .after(input);
    p.output(output).build()
}

/// ```text
///   question ─┬▶ open-library ─▶ answer ─▶ answer      `answer` runs `docs-qa` over the library
///             └──────────────────▲
/// ```
fn ask(desk: &Arc<Desk>) -> Result<Pipeline<String, Answer>, BuildError> {
    let desk = Arc::clone(desk);
    let open = move |cx: StageCx, _question: Arc<String>| {
        let desk = Arc::clone(&desk);
        async move { desk.libraries.open(&cx).await }
    };
    let mut p = Pipeline::builder("ask");
    let question = p.input::<String>();
    let library = p
        .stage("open-library", stage_fn(open))
        .require("kb:read")
        .blocking() // indexing takes a while
        .after(question);
    let answered = p
        .stage("answer", stage_fn(answer))
        .after((question, library));
    p.output(answered).build()
}

async fn answer(
    cx: StageCx,
    (question, library): (Arc<String>, Arc<Library>),
) -> Result<Answer, Stop> {
    let composition = cx
        .run(&library.docs_qa.pipeline, String::clone(&question))
        .await?;
    let draft = match &*composition {
        Composition::Draft(draft) => draft,
        Composition::Unanswerable(why) => {
            return Ok(Answer {
                outcome: "unanswerable",
                message: Some(why.to_string()),
                answer: Vec::new(),
            });
        }
    };
    let sentences = draft.sentences.iter().map(|cited| Sentence {
        text: cited.text.clone(),
        document: cited.file.clone(),
        line: cited.line,
        quote: cited.quote.clone(),
    });
    let answer: Vec<Sentence> = sentences.collect();
    for sentence in &answer {
        cx.chunk(json!(sentence)); // for those who read along; its citation was checked
    }
    Ok(Answer {
        outcome: "answered",
        message: None,
        answer,
    })
}

/// What is kept for the tenant that a run is for.
async fn shelf(desk: &Desk, cx: &StageCx) -> Result<Arc<dyn Shelf>, Stop> {
    Ok(desk.database.open(&TenantScope::of(cx)?).await?)
}

async fn put(desk: Arc<Desk>, cx: StageCx, upload: Arc<Upload>) -> Result<(), Stop> {
    catalogue::put(&*shelf(&desk, &cx).await?, &upload.name, &upload.text).await
}

async fn list(desk: Arc<Desk>, cx: StageCx, _: Arc<()>) -> Result<Value, Stop> {
    let catalogue = Catalogue::read(&*shelf(&desk, &cx).await?).await?;
    let listed = catalogue.entries.iter();
    let listed: Vec<Value> = listed
        .map(|(name, entry)| json!({ "name": name, "bytes": entry.bytes }))
        .collect();
    Ok(json!({ "documents": listed }))
}

async fn remove(desk: Arc<Desk>, cx: StageCx, name: Arc<String>) -> Result<bool, Stop> {
    catalogue::remove(&*shelf(&desk, &cx).await?, &name).await
}

/// Looks among the tenant's own runs, and nowhere else: it does not know whether the run is somebody else's.
async fn run(desk: Arc<Desk>, cx: StageCx, id: Arc<RunId>) -> Result<Option<RunRecord>, Stop> {
    let runs = Runs::open(&desk.database, &TenantScope::of(&cx)?).await?;
    let found = runs.get(*id).await?;
    if found.is_none() {
        let sought = json!({ "run": *id, "operation": "read" });
        cx.audit(AuditNotice::new(AuditArea::Tenant, "not_found", sought));
    }
    Ok(found)
}

async fn usage(desk: Arc<Desk>, cx: StageCx, _: Arc<()>) -> Result<Value, Stop> {
    let org = TenantScope::of(&cx)?.org();
    let tier = desk.tenants.tenant(org).map(|it| it.tier().to_owned());
    let used = desk.tenants.usage(org).unwrap_or_default();
    Ok(json!({
        "tier": tier,
        "runs": {
            "started": used.runs.started,
            "finished": used.runs.finished,
            "running": used.runs.running,
            "waiting": used.runs.waiting,
        },
        "refused": used.refused,
        "tokens": used.spent.tokens,
        "cost": used.spent.cost.to_string(),
        "events": used.events.offered,
    }))
}

/// Opens the trail; whoever asked reads it afterwards.
async fn audit(desk: Arc<Desk>, cx: StageCx, _: Arc<()>) -> Result<AuditTrail, Stop> {
    let shelf = shelf(&desk, &cx).await?;
    Ok(AuditTrail::new(shelf, Arc::clone(&desk.keys)))
}

async fn erase(desk: Arc<Desk>, cx: StageCx, user: Arc<UserId>) -> Result<String, Stop> {
    let scope = TenantScope::of(&cx)?;
    // Of those who erase themselves nothing stays, not even this.
    let by = cx.attached::<Subject>();
    let by = by.filter(|_| scope.user() != Some(*user));
    let erasure = match by {
        Some(by) => desk.erasure.clone().by(by.as_str()),
        None => desk.erasure.clone(),
    };
    Ok(erasure.erase(&scope, *user).await?.to_json())
}
