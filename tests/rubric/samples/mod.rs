//! One error of every kind, made the way a program would meet it, with what its message should show.

mod access;
mod admission;
mod approval;
mod audit;
mod audit_rows;
mod authentication;
mod branches;
mod child;
mod context;
mod disk;
mod executor;
mod export;
mod files;
mod graph;
mod idempotency;
mod layers;
mod lens;
mod loops;
mod otel;
mod pools;
mod retry;
mod reuse;
mod sealed;
mod stores;
mod streaming;
mod tenants;
mod undo;

use std::error::Error;
use std::fmt::Debug;

/// A secret that lies beside what is wrong, and must not turn up in a message.
pub(crate) const CANARY: &str = "sk-live-5f2b9c";

/// An error, and what was planted in it.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Its type.
    pub(crate) error: &'static str,
    /// Its kind, `ProblemKind::Cycle`; the type's name if it has no kinds.
    pub(crate) kind: String,
    pub(crate) code: Option<&'static str>,
    pub(crate) help: Option<&'static str>,
    pub(crate) text: String,
    pub(crate) debug: String,
    /// The texts of its causes, the nearest first.
    pub(crate) chain: Vec<String>,
    /// Where it happened: stage, pipeline, field, key.
    pub(crate) names: Vec<&'static str>,
    /// What happened there: what was expected, what came, the limit, the cause.
    pub(crate) facts: Vec<&'static str>,
    pub(crate) is_near_a_secret: bool,
}

pub(crate) fn all() -> Vec<Sample> {
    [
        access::samples(),
        context::samples(),
        graph::samples(),
        loops::samples(),
        executor::samples(),
        export::samples(),
        admission::samples(),
        approval::samples(),
        authentication::samples(),
        audit::samples(),
        audit_rows::samples(),
        child::samples(),
        pools::samples(),
        retry::samples(),
        reuse::samples(),
        sealed::samples(),
        branches::samples(),
        layers::samples(),
        idempotency::samples(),
        disk::samples(),
        otel::samples(),
        lens::samples(),
        stores::samples(),
        streaming::samples(),
        tenants::samples(),
        undo::samples(),
        files::samples(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Sample {
    /// This error, whose kind has this name.
    pub(crate) fn of(
        name: &'static str,
        kind: &str,
        code: impl Into<Option<&'static str>>,
        error: &(impl Error + 'static),
    ) -> Self {
        let mut chain = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        Self {
            debug: format!("{error:?}"),
            chain,
            ..Self::with_text(name, kind, code.into(), &error.to_string())
        }
    }

    /// A message without an error.
    pub(crate) fn with_text(
        error: &'static str,
        kind: &str,
        code: Option<&'static str>,
        text: &str,
    ) -> Self {
        Self {
            error,
            kind: kind.to_owned(),
            code,
            help: None,
            text: text.to_owned(),
            debug: String::new(),
            chain: Vec::new(),
            names: Vec::new(),
            facts: Vec::new(),
            is_near_a_secret: false,
        }
    }

    pub(crate) fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }

    pub(crate) fn names<const N: usize>(mut self, names: [&'static str; N]) -> Self {
        self.names = names.to_vec();
        self
    }

    pub(crate) fn facts<const N: usize>(mut self, facts: [&'static str; N]) -> Self {
        self.facts = facts.to_vec();
        self
    }

    /// The canary was planted beside it.
    pub(crate) fn beside_a_secret(mut self) -> Self {
        self.is_near_a_secret = true;
        self
    }
}

/// `StageErrorKind::Failed`, of the value `Failed(Permanent)`.
fn kind_name(of: &str, kind: &impl Debug) -> String {
    let kind = format!("{kind:?}");
    let end = kind
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(kind.len());
    format!("{of}::{}", &kind[..end])
}
