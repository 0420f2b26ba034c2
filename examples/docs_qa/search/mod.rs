//! The index of a folder and the first, wide search in it: BM25 over passages with their context.

mod expected;
mod judge;
mod probe;
pub(crate) mod rerank;
mod shape;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bm25::{Embedder, EmbedderBuilder, Scorer, Tokenizer};

use crate::corpus::Corpus;
use crate::language::{Analyzer, LanguageId, Token, Vocabulary};
use crate::passages::{Passage, split};
use crate::question::Question;

pub(crate) use self::probe::{Probe, ProbeTerm};

/// How many passages go on to be ranked with care.
pub(crate) const CANDIDATES: usize = 200;

/// Passages, their terms and their BM25 embeddings. Built once, shared by every question.
pub(crate) struct Index {
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) analyzer: Analyzer,
    pub(crate) passages: Vec<Passage>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) vocabulary: Vocabulary,
    /// The terms of each document.
    pub(crate) documents: Vec<HashSet<u32>>,
    /// The terms of the names of documents.
    file_names: HashSet<u32>,
    /// In how many passages each term of the vocabulary stands.
    frequencies: Vec<u32>,
    embedder: Embedder<u64, Joined>,
    scorer: Scorer<u32, u64>,
}

/// The terms of a passage by where they stand.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) sentences: Vec<Vec<Posting>>,
    pub(crate) lead: Arc<[Posting]>,
    /// The heading right above, the one above that and so on; last the name of the file.
    pub(crate) topics: Vec<Arc<[Posting]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) term: u32,
    pub(crate) position: u32,
    pub(crate) is_part: bool,
}

/// What the wide search found.
#[derive(Clone, Debug)]
pub(crate) struct Hits {
    pub(crate) probe: Probe,
    /// Best first; equals in the order of the folder.
    pub(crate) passages: Vec<Hit>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) passage: u32,
    pub(crate) score: f32,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("passages", &self.passages.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Takes every document apart and counts its terms.
    pub(crate) fn build(corpus: Arc<Corpus>) -> Self {
        let mut builder = IndexBuilder::default();
        for (index, document) in corpus.documents.iter().enumerate() {
            let language = builder.analyzer.language_of(&document.text);
            let passages = split(document, index, builder.analyzer.code(language));
            let name: Arc<[Posting]> = builder
                .postings(&readable_name(&document.name), language)
                .into();
            builder
                .file_names
                .extend(name.iter().map(|posting| posting.term));
            builder
                .documents
                .push(name.iter().map(|posting| posting.term).collect());
            for passage in passages {
                builder.add(passage, language, &name);
            }
        }
        builder.finish(corpus)
    }

    /// The passages most likely to answer, and the question as the index understands it.
    pub(crate) fn retrieve(&self, question: &Question, limit: usize) -> Hits {
        let probe = self.probe(&question.terms);
        let mut stems: Vec<&str> = probe
            .matches
            .keys()
            .map(|term| self.vocabulary.stem(*term))
            .collect();
        stems.sort_unstable(); // sums of floats depend on their order
        let query = self.embedder.embed(&stems.join(SEPARATOR));
        let matches = self.scorer.matches(&query).into_iter();
        let mut passages: Vec<Hit> = matches
            .map(|hit| Hit {
                passage: hit.id,
                score: hit.score,
            })
            .collect();
        passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)));
        passages.truncate(limit);
        Hits { probe, passages }
    }
}

#[derive(Default)]
struct IndexBuilder {
    analyzer: Analyzer,
    vocabulary: Vocabulary,
    frequencies: Vec<u32>,
    documents: Vec<HashSet<u32>>,
    file_names: HashSet<u32>,
    passages: Vec<Passage>,
    entries: Vec<Entry>,
    /// Context is shared by many passages, so it is taken apart once.
    contexts: HashMap<Arc<str>, Arc<[Posting]>>,
}

impl IndexBuilder {
    fn add(&mut self, passage: Passage, language: LanguageId, name: &Arc<[Posting]>) {
        let sentences: Vec<Vec<Posting>> = passage
            .sentences
            .iter()
            .map(|sentence| self.postings(&sentence.text, language))
            .collect();
        let lead = passage
            .lead
            .as_ref()
            .map(|lead| self.postings(lead, language).into())
            .unwrap_or_default();
        let headings = passage.headings.iter().rev();
        let mut topics: Vec<Arc<[Posting]>> = headings
            .map(|title| self.context(&title.text, language))
            .collect();
        topics.push(Arc::clone(name));
        let entry = Entry {
            sentences,
            lead,
            topics,
        };
        self.frequencies.resize(self.vocabulary.len(), 0);
        for term in entry
            .own()
            .map(|posting| posting.term)
            .collect::<HashSet<u32>>()
        {
            self.frequencies[term as usize] += 1;
        }
        let wholes = entry
            .indexed()
            .filter(|posting| !posting.is_part)
            .map(|posting| posting.term);
        self.documents[passage.document].extend(wholes);
        self.passages.push(passage);
        self.entries.push(entry);
    }

    fn context(&mut self, text: &Arc<str>, language: LanguageId) -> Arc<[Posting]> {
        if let Some(known) = self.contexts.get(text) {
            return Arc::clone(known);
        }
        // `fs.open(path[, flags])` is about `fs.open`.
        let topic = text
            .find('(')
            .filter(|at| *at > 0)
            .map_or(&**text, |at| &text[..at]);
        let postings: Arc<[Posting]> = self.postings(topic, language).into();
        self.contexts
            .insert(Arc::clone(text), Arc::clone(&postings));
        postings
    }

    fn postings(&mut self, text: &str, language: LanguageId) -> Vec<Posting> {
        let tokens = self.analyzer.tokens(text, language).into_iter();
        let vocabulary = &mut self.vocabulary;
        let posting = |token: Token| Posting {
            term: vocabulary.intern(&token.stem),
            position: token.position,
            is_part: token.is_part,
        };
        tokens.map(posting).collect()
    }

    fn finish(mut self, corpus: Arc<Corpus>) -> Index {
        self.frequencies.resize(self.vocabulary.len(), 0);
        let total: usize = self
            .entries
            .iter()
            .map(|entry| entry.indexed().count())
            .sum();
        let average = total as f32 / self.entries.len().max(1) as f32;
        // Passages are short and their lengths say little, so length counts less than usual.
        let embedder: Embedder<u64, Joined> = EmbedderBuilder::with_avgdl(average).b(0.5).build();
        let mut scorer = Scorer::new();
        for (id, entry) in (0u32..).zip(&self.entries) {
            let stems: Vec<&str> = entry
                .indexed()
                .map(|posting| self.vocabulary.stem(posting.term))
                .collect();
            scorer.upsert(&id, embedder.embed(&stems.join(SEPARATOR)));
        }
        let Self {
            analyzer,
            vocabulary,
            frequencies,
            documents,
            file_names,
            passages,
            entries,
            ..
        } = self;
        Index {
            corpus,
            analyzer,
            passages,
            entries,
            vocabulary,
            documents,
            file_names,
            frequencies,
            embedder,
            scorer,
        }
    }
}

impl Entry {
    pub(crate) fn own(&self) -> impl Iterator<Item = &Posting> {
        self.sentences.iter().flatten()
    }

    /// What BM25 sees.
    fn indexed(&self) -> impl Iterator<Item = &Posting> {
        self.own()
            .chain(self.lead.iter())
            .chain(self.topics.iter().flat_map(|topic| topic.iter()))
    }
}

/// `guide/event-sinks.md` speaks of event sinks, `notes/2.28.0.txt` of version 2.28.0.
fn readable_name(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.replace(['/', '-', '_'], " ")
}

/// The terms are made already; between them stands a sign that no word holds.
const SEPARATOR: &str = "\u{1f}";

#[derive(Debug, Default)]
struct Joined;

impl Tokenizer for Joined {
    fn tokenize(&self, text: &str) -> Vec<String> {
        text.split(SEPARATOR)
            .filter(|stem| !stem.is_empty())
            .map(str::to_owned)
            .collect()
    }
}
