//! Tokens of an identity provider, which says over HTTP where its keys are.

use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use clap::Parser as _;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::support::Setup;
use crate::cli::Arguments;
use crate::demo::{ACME, Signer};
use crate::guests;

/// Says where the keys are, and what they are.
async fn provider(signer: &Signer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
    let keys = signer.jwks();
    let provider = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async || Json(document)),
        )
        .route("/keys", get(async || keys));
    drop(Handle::current().spawn(axum::serve(listener, provider).into_future()));
    issuer
}

#[tokio::test]
async fn whoever_the_provider_says_is_an_org_is_a_tenant() {
    let signer = Signer::new().unwrap();
    let issuer = provider(&signer).await;
    let arguments = ["service", "--issuer", &issuer, "--audience", "docs"];
    let arguments = Arguments::parse_from(arguments);
    let guests = guests(&arguments).unwrap();
    assert!(guests.signer.is_none(), "nobody else signs");
    let setup = Setup::new().authenticator(guests.authenticator);
    let setup = setup.tenants(guests.tenants);
    let running = setup.start().await;

    let token = |audience: &str| {
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "ada", "org_id": ACME.org, "scope": "kb:read",
        });
        signer.sign(claims, Duration::from_secs(60))
    };
    let list = |token: String| {
        let list = running.request(Method::GET, "/v1/documents");
        list.bearer_auth(token).send()
    };
    assert_eq!(list(token("docs")).await.unwrap().status(), 200);
    assert_eq!(list(token("shop")).await.unwrap().status(), 401);
    assert_eq!(
        list(running.token(ACME)).await.unwrap().status(),
        401,
        "another issuer"
    );
}

#[test]
fn an_issuer_needs_an_audience_and_the_owner_a_database() {
    for wrong in [
        ["--issuer", "https://id.example.org"],
        ["--audience", "docs"],
        ["--migrate-url", "postgres://deploy@db/app"],
        ["--grace", "-1"],
    ] {
        assert!(
            Arguments::try_parse_from(["service"].iter().chain(&wrong)).is_err(),
            "{wrong:?}"
        );
    }
}
