//! Keys over HTTP, from a known address or found by discovery.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, ClientBuilder, Url, redirect};
use serde::Deserialize;

use super::{Jwks, JwksFetch, KeyError, KeyErrorKind};

/// Fetches keys over HTTP. It follows no redirects, and reads no more than so many bytes.
///
/// Only `https`, unless the address is on this machine, or it was said otherwise by name.
pub struct HttpFetch {
    /// For this machine, which no proxy stands before.
    here: Client,
    away: Client,
    from: From,
    wire: Wire,
    max_bytes: NonZeroUsize,
}

enum From {
    /// The keys are here.
    Address(Url),
    /// The issuer says where they are.
    Discovery { issuer: String, document: Url },
}

/// How the keys may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Not so that somebody on the way can change them.
    Safe,
    /// In any way.
    Plain,
}

/// What an issuer says of itself. OpenID Connect Discovery 1.0, section 3.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl HttpFetch {
    /// The keys at this address.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address, or is neither `https` nor on this machine.
    pub fn at(url: &str) -> Result<Self, KeyError> {
        Self::new(From::Address(address(url)?), Wire::Safe)
    }

    /// The keys of this issuer, which says where they are (OpenID Connect Discovery). What it says of itself must be this very
    /// `issuer`, to the letter. It is asked each time that keys are fetched. An issuer that is not on this machine cannot name keys
    /// that are.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address, or is neither `https` nor on this machine.
    pub fn discover(issuer: &str) -> Result<Self, KeyError> {
        Self::new(discovery(issuer)?, Wire::Safe)
    }

    /// As [`HttpFetch::at`], over plain HTTP if the address says so. Whoever can change what is on the wire can make tokens.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address.
    pub fn at_insecure(url: &str) -> Result<Self, KeyError> {
        Self::new(From::Address(address(url)?), Wire::Plain)
    }

    /// As [`HttpFetch::discover`], over plain HTTP if the address says so. Whoever can change what is on the wire can make tokens.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address.
    pub fn discover_insecure(issuer: &str) -> Result<Self, KeyError> {
        Self::new(discovery(issuer)?, Wire::Plain)
    }

    /// The same, for answers of at most so many bytes: 256 KiB if nothing else is said.
    #[must_use]
    pub fn max_bytes(self, max_bytes: NonZeroUsize) -> Self {
        Self { max_bytes, ..self }
    }

    fn new(from: From, wire: Wire) -> Result<Self, KeyError> {
        let url = match &from {
            From::Address(url) | From::Discovery { document: url, .. } => url,
        };
        wire.allows(url)?;
        let client = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(Duration::from_secs(5))
                // An idle connection is of no use to something that is asked once in a minute.
                .pool_max_idle_per_host(0)
        };
        let made = |client: ClientBuilder| {
            client
                .build()
                .map_err(|error| unreachable(url).because(error))
        };
        Ok(Self {
            here: made(client().no_proxy())?,
            away: made(client())?,
            from,
            wire,
            max_bytes: const { NonZeroUsize::new(256 * 1024).unwrap() },
        })
    }

    /// What is at `url`, as text.
    async fn get(&self, url: &Url) -> Result<String, KeyError> {
        let failed = |error| unreachable(url).because(error);
        let client = match is_here(url) {
            true => &self.here,
            false => &self.away,
        };
        let answer = client.get(url.clone()).send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(KeyError::new(
                KeyErrorKind::Unreachable,
                format!(
                    "`{}` answers {status}, and redirects are not followed; look whether the address is right",
                    plain(url)
                ),
            ));
        }
        let mut answer = answer;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.max_bytes.get() {
                return Err(KeyError::new(
                    KeyErrorKind::TooMuch,
                    format!(
                        "`{}` answers more than {} bytes; look whether the address is right",
                        plain(url),
                        self.max_bytes
                    ),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| {
            KeyError::new(
                KeyErrorKind::Unreadable,
                format!(
                    "`{}` answers what is no text; look whether the address is right",
                    plain(url)
                ),
            )
        })
    }
}

#[async_trait]
impl JwksFetch for HttpFetch {
    async fn fetch(&self) -> Result<String, KeyError> {
        let (issuer, document) = match &self.from {
            From::Address(url) => return self.get(url).await,
            From::Discovery { issuer, document } => (issuer, document),
        };
        let text = self.get(document).await?;
        let said: Document = serde_json::from_str(&text).map_err(|_| {
            KeyError::new(
                KeyErrorKind::Unreadable,
                format!("`{}` is not a discovery document with `issuer` and `jwks_uri`; look whether the issuer is right", plain(document)),
            )
        })?;
        if said.issuer != *issuer {
            return Err(KeyError::new(
                KeyErrorKind::ForeignIssuer,
                format!(
                    "`{}` is of another issuer than `{issuer}`, which was asked for; give the issuer to the letter",
                    plain(document)
                ),
            ));
        }
        let keys = address(&said.jwks_uri)?;
        self.wire.allows(&keys)?;
        stays_away(document, &keys)?;
        self.get(&keys).await
    }
}

impl Jwks {
    /// The keys at this address: see [`HttpFetch::at`].
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address, or is neither `https` nor on this machine.
    pub fn at(url: &str) -> Result<Self, KeyError> {
        HttpFetch::at(url).map(Self::new)
    }

    /// The keys of this issuer, which says where they are: see [`HttpFetch::discover`].
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not an address, or is neither `https` nor on this machine.
    pub fn discover(issuer: &str) -> Result<Self, KeyError> {
        HttpFetch::discover(issuer).map(Self::new)
    }
}

impl Wire {
    fn allows(self, url: &Url) -> Result<(), KeyError> {
        match (url.scheme(), self) {
            ("https", _) | ("http", Self::Plain) => Ok(()),
            ("http", Self::Safe) if is_here(url) => Ok(()),
            _ => Err(KeyError::new(
                KeyErrorKind::Insecure,
                format!(
                    "`{}` is not `https`, so the keys could be changed on the way; use TLS",
                    plain(url)
                ),
            )),
        }
    }
}

/// An issuer elsewhere has no keys on this machine: whoever writes its document must not choose what is asked here.
fn stays_away(document: &Url, keys: &Url) -> Result<(), KeyError> {
    if is_here(document) || !is_here(keys) {
        return Ok(());
    }
    Err(KeyError::new(
        KeyErrorKind::Insecure,
        format!(
            "`{}` says that its keys are on this machine, at `{}`; look whether the issuer is right",
            plain(document),
            plain(keys)
        ),
    ))
}

fn address(url: &str) -> Result<Url, KeyError> {
    Url::parse(url).map_err(|error| {
        let detail = "the `url` of the keys is not one; write it out, with `https://`";
        KeyError::new(KeyErrorKind::Unreadable, detail).because(error)
    })
}

fn discovery(issuer: &str) -> Result<From, KeyError> {
    let document = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    Ok(From::Discovery {
        issuer: issuer.to_owned(),
        document: address(&document)?,
    })
}

/// Whether it is on this machine.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Without what may be secret in it.
fn plain(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    // There is nothing to take away in an address that cannot have it.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn unreachable(url: &Url) -> KeyError {
    KeyError::new(
        KeyErrorKind::Unreachable,
        format!(
            "there are no keys: `{}` does not answer; look whether the provider is well",
            plain(url)
        ),
    )
}

impl fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (From::Address(url) | From::Discovery { document: url, .. }) = &self.from;
        f.debug_struct("HttpFetch")
            .field("url", &plain(url))
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_issuer_on_this_machine_has_keys_on_it() {
        let allowed = |document: &str, keys: &str| {
            let [document, keys] = [document, keys].map(|url| Url::parse(url).unwrap());
            let wire = Wire::Safe.allows(&keys);
            wire.and_then(|()| stays_away(&document, &keys))
                .map_err(|error| error.kind())
        };
        let (away, here) = ("https://id.example.org/d", "http://127.0.0.1:8080/d");
        assert_eq!(allowed(away, "https://keys.example.org/k"), Ok(()));
        assert_eq!(allowed(here, "http://127.0.0.1:8080/k"), Ok(()));
        assert_eq!(allowed(here, "https://keys.example.org/k"), Ok(()));
        for keys in [
            "http://127.0.0.1:9/k",
            "http://localhost/k",
            "http://[::1]/k",
            "https://127.0.0.1/k",
        ] {
            assert_eq!(allowed(away, keys), Err(KeyErrorKind::Insecure), "{keys}");
        }
    }
}
