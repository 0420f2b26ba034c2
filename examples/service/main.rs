//! A service over HTTP for several tenants: each asks questions over its own documents, and nobody sees another's.
//!
//! ```sh
//! cargo run --release --example service
//! ```
//!
//! It prints two tenants to try it out with, and what to type. Start reading at [`service`] and [`work`]; [`http`] makes runs of
//! requests, and [`problem`] answers of errors. The first modules below are the pipeline of `docs_qa`.

#[path = "../docs_qa/answer/mod.rs"]
#[cfg_attr(not(test), expect(dead_code, reason = "no model writes here"))]
mod answer;
#[path = "../docs_qa/corpus/mod.rs"]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "documents come from the store, not from a folder")
)]
mod corpus;
#[path = "../docs_qa/language/mod.rs"]
mod language;
#[path = "../docs_qa/passages/mod.rs"]
mod passages;
#[path = "../docs_qa/pipeline/mod.rs"]
#[expect(dead_code, reason = "the program has more than the pipeline")]
mod pipeline;
#[path = "../docs_qa/question/mod.rs"]
mod question;
#[path = "../docs_qa/search/mod.rs"]
mod search;
#[path = "../docs_qa/session/mod.rs"]
mod session;

mod catalogue;
mod cli;
mod database;
mod demo;
mod flow;
mod http;
mod invalid;
mod library;
mod memory;
mod problem;
mod refusals;
mod secrets;
mod serve;
mod service;
mod stream;
#[cfg(test)]
mod tests;
mod underway;
mod who;
mod work;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use stageflow::auth::{Authenticator, Jwks, JwtAuthenticator, JwtRules, PolicyEngine};
use stageflow::events::{Journal, JournalOptions};
use stageflow::prelude::*;
use stageflow::tenancy::{Tenants, TenantsBuilder, Unknown};
use tokio::net::TcpListener;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::Arguments;
use crate::database::Database;
use crate::demo::{ACME, GLOBEX, Signer};
use crate::refusals::Refusals;
use crate::secrets::Secrets;
use crate::service::{LIMIT, Parts, Service, policy, tiers};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let shown = Targets::new()
        .with_default(Level::WARN)
        .with_target("service", Level::INFO);
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(io::stderr))
        .with(shown)
        .init();
    match Box::pin(run(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(io::stderr(), "error: {}", problem::chain(&*error));
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let policy = who_may_what(&arguments)?;
    let Guests {
        authenticator,
        tenants,
        signer,
    } = guests(&arguments)?;
    let data = &arguments.data;
    let keys = std::fs::create_dir_all(data).and_then(|()| Secrets::load(&data.join("secret")));
    let secrets = keys.map_err(|error| format!("--data {}: {error}", data.display()))?;
    let keys = Arc::new(secrets.seal_keys());
    let refusals = Refusals::open(data, Arc::clone(&keys)).await?;
    if arguments.refused {
        return Box::pin(refusals.print(io::stdout().lock())).await;
    }
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| format!("--listen {listen}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let service = Service::start(Parts {
        engine: Engine::builder().deadline(LIMIT),
        database: Database::open(&arguments, &secrets).await?,
        operator: Journal::create(JournalOptions::new(data.join("operator")))?,
        tenants,
        authenticator,
        policy,
        keys,
        refusals: Arc::new(refusals),
    })?;
    writeln!(io::stdout(), "{url}")?;
    if let Some(signer) = signer {
        demo::print(&signer, &url)?;
    }
    serve::until(serve::told_to_stop(), listener, service, arguments.grace).await
}

/// What tokens allow, and what a file takes away again.
fn who_may_what(arguments: &Arguments) -> Result<Arc<dyn PolicyEngine>, BoxError> {
    let Some(path) = &arguments.policy else {
        return Ok(Arc::new(policy()?));
    };
    let file = path.display();
    #[cfg(not(feature = "cedar"))]
    return Err(
        format!("--policy {file}: build the service with `--features cedar` for this").into(),
    );
    #[cfg(feature = "cedar")]
    {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("--policy {file}: {error}"))?;
        let policy =
            service::policy_with(&text).map_err(|error| format!("--policy {file}: {error}"))?;
        Ok(Arc::new(policy))
    }
}

/// Who may come.
struct Guests {
    /// Whose tokens count.
    authenticator: Arc<dyn Authenticator>,
    tenants: Tenants,
    /// Who signs tokens for trying it out, if nobody else does.
    signer: Option<Signer>,
}

fn guests(arguments: &Arguments) -> Result<Guests, BoxError> {
    let tenants = tiers()
        .into_iter()
        .fold(Tenants::builder(), TenantsBuilder::tier);
    let (Some(issuer), Some(audience)) = (&arguments.issuer, &arguments.audience) else {
        let signer = Signer::new()?;
        let tenants = tenants
            .tenant(ACME.org.parse()?, ACME.tier)
            .tenant(GLOBEX.org.parse()?, GLOBEX.tier);
        return Ok(Guests {
            authenticator: Arc::new(signer.authenticator()?),
            tenants: tenants.build()?,
            signer: Some(signer),
        });
    };
    let rules = JwtRules::new(issuer.as_str(), audience.as_str());
    let authenticator = JwtAuthenticator::new(Jwks::discover(issuer)?, rules);
    // Whoever the identity provider says is an org is a tenant here.
    Ok(Guests {
        authenticator: Arc::new(authenticator),
        tenants: tenants.unknown(Unknown::Tier("free".into())).build()?,
        signer: None,
    })
}
