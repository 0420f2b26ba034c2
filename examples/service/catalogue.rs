//! The documents of a tenant: a row for each text, and one with the list of them. What changes a text changes the list in the same
//! commit, so that the version of the list says whether anything has changed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stageflow::context::{SystemClock, WallClock as _};
use stageflow::prelude::*;
use stageflow_store::{Class, Row, Shelf, StoreError, StoreErrorKind, Write};

use crate::corpus::format_of;
use crate::invalid::Invalid;

/// Documents of a tenant, at most.
pub(crate) const MOST: usize = 500;
/// How often it is tried again because somebody else has changed the list meanwhile.
const TRIES: usize = 10;

const CLASS: Class = Class::Documents;
const LIST: &str = "library/list";
const TEXTS: &str = "library/text/";

/// What is known of a document beside its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) bytes: usize,
}

/// The list, as it was read.
pub(crate) struct Catalogue {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Different after every change; `None` before the first.
    pub(crate) revision: Option<u64>,
}

impl Catalogue {
    pub(crate) async fn read(shelf: &dyn Shelf) -> Result<Self, Stop> {
        let (entries, revision) = match shelf.get(CLASS, LIST).await? {
            Some(row) => (serde_json::from_str(&row.body)?, Some(row.version)),
            None => (BTreeMap::new(), None),
        };
        Ok(Self { entries, revision })
    }

    /// Does this and writes the list, unless somebody else has since it was read: then nothing is done.
    async fn commit(&self, shelf: &dyn Shelf, change: Write) -> Result<bool, Stop> {
        let (class, row) = (
            CLASS,
            Row::new(LIST, now(), json!(self.entries).to_string()),
        );
        let list = match self.revision {
            Some(seen) => Write::Swap { class, row, seen },
            None => Write::Insert { class, row },
        };
        Ok(shelf.commit(vec![change, list]).await?)
    }

    /// The text of every document on the list.
    pub(crate) async fn texts(&self, shelf: &dyn Shelf) -> Result<Vec<(String, String)>, Stop> {
        let mut texts = Vec::with_capacity(self.entries.len());
        for name in self.entries.keys() {
            // One that is gone was deleted just now, and there is another list already.
            if let Some(row) = shelf.get(CLASS, &key(name)).await? {
                texts.push((name.clone(), serde_json::from_str(&row.body)?));
            }
        }
        Ok(texts)
    }
}

/// Keeps a document, in the place of the one of its name.
pub(crate) async fn put(shelf: &dyn Shelf, name: &str, text: &str) -> Result<(), Stop> {
    check(name, text)?;
    let bytes = text.len();
    for _ in 0..TRIES {
        let mut catalogue = Catalogue::read(shelf).await?;
        if catalogue.entries.len() >= MOST && !catalogue.entries.contains_key(name) {
            return Err(Invalid::TooMany(MOST).into());
        }
        catalogue.entries.insert(name.to_owned(), Entry { bytes });
        let (class, row) = (CLASS, Row::new(key(name), now(), json!(text).to_string()));
        if catalogue.commit(shelf, Write::Put { class, row }).await? {
            return Ok(());
        }
    }
    Err(busy())
}

/// Takes a document away; whether it was there.
pub(crate) async fn remove(shelf: &dyn Shelf, name: &str) -> Result<bool, Stop> {
    for _ in 0..TRIES {
        let mut catalogue = Catalogue::read(shelf).await?;
        if catalogue.entries.remove(name).is_none() {
            return Ok(false);
        }
        let (class, key) = (CLASS, key(name));
        if catalogue
            .commit(shelf, Write::Delete { class, key })
            .await?
        {
            return Ok(true);
        }
    }
    Err(busy())
}

fn busy() -> Stop {
    let doing = "changing the list of documents";
    StoreError::new(StoreErrorKind::TooBusy, doing).into()
}

fn key(name: &str) -> String {
    format!("{TEXTS}{name}")
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let now = SystemClock::new().now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn check(name: &str, text: &str) -> Result<(), Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name = (1..=100).contains(&name.len()) && name.bytes().all(allowed);
    if !is_name || format_of(name.as_ref()).is_none() {
        return Err(Invalid::Name);
    }
    match text.trim().is_empty() {
        true => Err(Invalid::Empty),
        false => Ok(()),
    }
}
