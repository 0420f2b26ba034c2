//! A service on a port of its own, and those who ask it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use stageflow::auth::{Authenticator, PolicyEngine};
use stageflow::context::{SealKey, SealKeys};
use stageflow::events::{Journal, JournalOptions};
use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;
use stageflow::tenancy::{Tenants, TenantsBuilder, Tier};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::BoxError;
use crate::database::Database;
use crate::demo::{ACME, GLOBEX, Signer, Somebody};
use crate::refusals::Refusals;
use crate::serve;
use crate::service::{Parts, Service, policy, tiers};

/// How a service is set up for a test.
pub(super) struct Setup {
    folder: Arc<TempDir>,
    database: Option<Database>,
    engine: EngineBuilder,
    tiers: Vec<Tier>,
    tenants: Option<Tenants>,
    authenticator: Option<Arc<dyn Authenticator>>,
    policy: Arc<dyn PolicyEngine>,
    grace: Duration,
}

/// A service that runs.
pub(super) struct Running {
    url: String,
    client: Client,
    signer: Signer,
    folder: Arc<TempDir>,
    pub(super) service: Arc<Service>,
    pub(super) tenants: Tenants,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), BoxError>>,
}

impl Setup {
    pub(super) fn new() -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            database: None,
            engine: Engine::builder(),
            tiers: tiers().into(),
            tenants: None,
            authenticator: None,
            policy: Arc::new(policy().unwrap()),
            grace: Duration::from_secs(5),
        }
    }

    /// On the files of a service that has stopped.
    pub(super) fn over(self, folder: Arc<TempDir>) -> Self {
        Self { folder, ..self }
    }

    pub(super) fn database(self, database: Database) -> Self {
        let database = Some(database);
        Self { database, ..self }
    }

    pub(super) fn engine(self, engine: EngineBuilder) -> Self {
        Self { engine, ..self }
    }

    pub(super) fn tiers(self, tiers: impl Into<Vec<Tier>>) -> Self {
        let tiers = tiers.into();
        Self { tiers, ..self }
    }

    /// In the place of the two.
    pub(super) fn tenants(self, tenants: Tenants) -> Self {
        let tenants = Some(tenants);
        Self { tenants, ..self }
    }

    pub(super) fn authenticator(self, authenticator: impl Authenticator) -> Self {
        let authenticator: Option<Arc<dyn Authenticator>> = Some(Arc::new(authenticator));
        Self {
            authenticator,
            ..self
        }
    }

    #[cfg(feature = "cedar")]
    pub(super) fn policy(self, policy: Arc<dyn PolicyEngine>) -> Self {
        Self { policy, ..self }
    }

    pub(super) fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    pub(super) async fn start(self) -> Running {
        let signer = Signer::new().unwrap();
        let tenants = self.tiers.into_iter();
        let tenants = tenants.fold(Tenants::builder(), TenantsBuilder::tier);
        let tenants = [ACME, GLOBEX].into_iter().fold(tenants, |tenants, one| {
            tenants.tenant(one.org.parse().unwrap(), one.tier)
        });
        let tenants = self.tenants.unwrap_or_else(|| tenants.build().unwrap());
        let files = || Database::files(self.folder.path()).unwrap();
        let own = || Arc::new(signer.authenticator().unwrap()) as Arc<dyn Authenticator>;
        let operator = JournalOptions::new(self.folder.path().join("operator"));
        let keys = Arc::new(keys());
        let refusals = Refusals::open(self.folder.path(), Arc::clone(&keys)).await;
        let service = Service::start(Parts {
            engine: self.engine,
            database: self.database.unwrap_or_else(files),
            tenants: tenants.clone(),
            authenticator: self.authenticator.unwrap_or_else(own),
            policy: self.policy,
            keys,
            operator: Journal::create(operator).unwrap(),
            refusals: Arc::new(refusals.unwrap()),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let told = async move { drop(stopped.await) };
        let server = serve::until(told, listener, Arc::clone(&service), self.grace);
        Running {
            url,
            client: Client::new(),
            signer,
            folder: self.folder,
            service,
            tenants,
            stop,
            server: Handle::current().spawn(server),
        }
    }
}

impl Running {
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Who signs what counts here.
    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What somebody shows who may do everything.
    pub(super) fn token(&self, who: Somebody) -> String {
        self.signer.token(who)
    }

    /// What somebody of an org shows who has these scopes and no role.
    pub(super) fn token_for(&self, who: Somebody, scope: &str) -> String {
        let claims = json!({ "org_id": who.org, "sub": who.user, "scope": scope });
        self.signer.sign(claims, Duration::from_secs(60))
    }

    /// A request that nobody has signed.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(super) async fn get(&self, who: Somebody, path: &str) -> Response {
        let request = self.request(Method::GET, path);
        request.bearer_auth(self.token(who)).send().await.unwrap()
    }

    pub(super) async fn put(&self, who: Somebody, name: &str, text: &str) -> Response {
        let request = self.request(Method::PUT, &format!("/v1/documents/{name}"));
        let request = request.bearer_auth(self.token(who)).body(text.to_owned());
        request.send().await.unwrap()
    }

    pub(super) fn asking(&self, who: Somebody, question: &str) -> RequestBuilder {
        let request = self.request(Method::POST, "/v1/ask");
        let request = request.bearer_auth(self.token(who));
        request.json(&json!({ "question": question }))
    }

    pub(super) async fn ask(&self, who: Somebody, question: &str) -> Value {
        let answer = self.asking(who, question).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Tells it to stop, without waiting for it. Its files are there for as long as the folder is held.
    pub(super) fn tell_to_stop(self) -> (JoinHandle<Result<(), BoxError>>, Arc<TempDir>) {
        // It may have stopped by itself.
        let _ = self.stop.send(());
        (self.server, self.folder)
    }

    /// Stops it, and gives the folder with its files.
    pub(super) async fn stop(self) -> Arc<TempDir> {
        let folder = Arc::clone(&self.folder);
        drop(self.service);
        drop(self.client);
        let _ = self.stop.send(());
        self.server.await.unwrap().unwrap();
        folder
    }
}

/// What trails are kept under.
pub(super) fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(1, [7; 32]))
}

/// How often these bytes stand in the files under a folder.
pub(super) fn count(folder: &Path, bytes: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let found = entries.map(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => count(&path, bytes),
            false => {
                let text = std::fs::read(&path).unwrap();
                let windows = text.windows(bytes.len());
                windows.filter(|window| *window == bytes.as_bytes()).count()
            }
        }
    });
    found.sum()
}
