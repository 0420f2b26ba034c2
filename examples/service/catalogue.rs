//! The documents of a tenant: their texts, and a list of them that says which count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stageflow::prelude::*;
use stageflow_store::{Document, Documents};

use crate::corpus::format_of;
use crate::invalid::Invalid;

/// Documents of a tenant, at most.
pub(crate) const MOST: usize = 500;
/// How often a list is read again because somebody else has written it meanwhile.
const TRIES: usize = 10;

const LIST: &str = "catalogue";
const TEXTS: &str = "text/";

/// What is known of a document beside its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) bytes: usize,
}

/// The list, as it was read.
pub(crate) struct Catalogue {
    pub(crate) entries: BTreeMap<String, Entry>,
    read: Option<Document>,
}

impl Catalogue {
    pub(crate) async fn read(documents: &Documents) -> Result<Self, Stop> {
        let read = documents.get(LIST).await?;
        let entries = match &read {
            Some(list) => serde_json::from_value(list.value.clone())?,
            None => BTreeMap::new(),
        };
        Ok(Self { entries, read })
    }

    /// Different after every change. `None` before the first.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.read.as_ref().map(|list| list.version)
    }

    /// Writes it, unless somebody else has since it was read.
    async fn write(&self, documents: &Documents) -> Result<bool, Stop> {
        let value = json!(self.entries);
        match &self.read {
            Some(read) => Ok(documents.swap(read, &value).await?),
            None => {
                documents.put(LIST, &value).await?;
                Ok(true)
            }
        }
    }
}

/// Changes the list: again if somebody else was faster.
async fn change(
    documents: &Documents,
    change: impl Fn(&mut BTreeMap<String, Entry>) -> Result<bool, Invalid>,
) -> Result<bool, Stop> {
    for _ in 0..TRIES {
        let mut catalogue = Catalogue::read(documents).await?;
        let changed = change(&mut catalogue.entries)?;
        if !changed || catalogue.write(documents).await? {
            return Ok(changed);
        }
    }
    Err(Stop::transient(
        "others changed the documents again and again",
    ))
}

/// Keeps a document, in the place of the one of its name.
pub(crate) async fn put(documents: &Documents, name: &str, text: &str) -> Result<(), Stop> {
    check(name, text)?;
    let bytes = text.len();
    // Only what is on the list counts: first the text, then the list.
    documents.put(&key(name), &json!(text)).await?;
    change(documents, |entries| {
        if entries.len() >= MOST && !entries.contains_key(name) {
            return Err(Invalid::TooMany(MOST));
        }
        entries.insert(name.to_owned(), Entry { bytes });
        Ok(true)
    })
    .await?;
    Ok(())
}

/// Takes a document away; whether it was there.
pub(crate) async fn remove(documents: &Documents, name: &str) -> Result<bool, Stop> {
    let was_there = change(documents, |entries| Ok(entries.remove(name).is_some())).await?;
    if was_there {
        documents.delete(&key(name)).await?;
    }
    Ok(was_there)
}

/// The text of every document on the list.
pub(crate) async fn texts(
    documents: &Documents,
    catalogue: &Catalogue,
) -> Result<Vec<(String, String)>, Stop> {
    let mut texts = Vec::with_capacity(catalogue.entries.len());
    for name in catalogue.entries.keys() {
        if let Some(Value::String(text)) = documents.get(&key(name)).await?.map(|it| it.value) {
            texts.push((name.clone(), text));
        }
    }
    Ok(texts)
}

fn key(name: &str) -> String {
    format!("{TEXTS}{name}")
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
