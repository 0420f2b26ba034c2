//! The index of a folder and the first, wide search in it: BM25 over passages with their context.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bm25::{Embedder, EmbedderBuilder, Scorer, Tokenizer};

use crate::corpus::Corpus;
use crate::passages::{Passage, split};
use crate::question::{Question, Role, Term};
use crate::terms::{Analyzer, LanguageId, Token, Vocabulary};

/// How many passages go on to be ranked with care.
pub(crate) const CANDIDATES: usize = 200;

/// Another form of a word, or a slip of the pen, counts less than the word.
const KIN: f32 = 0.5;
const MISSPELT: f32 = 0.8;
const HALF: f32 = 0.8;
/// How rare a word counts that stands nowhere; it may be the asker's own for something that does.
const UNKNOWN: f32 = 0.75;
/// What a name and a frame word count of a content word.
const NAME_WEIGHT: f32 = 1.25;
const FRAME_WEIGHT: f32 = 0.35;

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

/// A question in the terms of an index.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) terms: Vec<ProbeTerm>,
    /// Which terms of the question a term of the vocabulary stands for, and how well.
    pub(crate) matches: HashMap<u32, Vec<(usize, f32)>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProbeTerm {
    pub(crate) surface: String,
    pub(crate) position: u32,
    /// How much a passage gains by it: rare words tell more.
    pub(crate) weight: f32,
    pub(crate) role: Role,
    /// Whether the folder holds it at all.
    pub(crate) is_known: bool,
    /// Whether a document is called after it.
    pub(crate) is_file: bool,
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
        f.debug_struct("Index").field("passages", &self.passages.len()).finish_non_exhaustive()
    }
}

impl Index {
    /// Takes every document apart and counts its terms.
    pub(crate) fn build(corpus: Arc<Corpus>) -> Self {
        let mut builder = IndexBuilder::default();
        for (index, document) in corpus.documents.iter().enumerate() {
            let language = builder.analyzer.language_of(&document.text);
            let passages = split(document, index, builder.analyzer.code(language));
            let name: Arc<[Posting]> = builder.postings(&readable_name(&document.name), language).into();
            builder.file_names.extend(name.iter().map(|posting| posting.term));
            builder.documents.push(name.iter().map(|posting| posting.term).collect());
            for passage in passages {
                builder.add(passage, language, &name);
            }
        }
        builder.finish(corpus)
    }

    /// The passages most likely to answer, and the question as the index understands it.
    pub(crate) fn retrieve(&self, question: &Question, limit: usize) -> Hits {
        let probe = self.probe(&question.terms);
        let mut stems: Vec<&str> = probe.matches.keys().map(|term| self.vocabulary.stem(*term)).collect();
        stems.sort_unstable(); // sums of floats depend on their order
        let query = self.embedder.embed(&stems.join(SEPARATOR));
        let matches = self.scorer.matches(&query).into_iter();
        let mut passages: Vec<Hit> = matches.map(|hit| Hit { passage: hit.id, score: hit.score }).collect();
        passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)));
        passages.truncate(limit);
        Hits { probe, passages }
    }

    /// Looks the terms of a question up in the vocabulary.
    pub(crate) fn probe(&self, terms: &[Term]) -> Probe {
        let mut probe = Probe { terms: Vec::new(), matches: HashMap::new() };
        for term in terms {
            let is_whole = term.parts.is_empty() || !self.known(&term.stems).is_empty();
            if is_whole {
                self.add_term(&mut probe, term, &term.stems, term.role);
            }
            // Where the whole is known, its parts only hint at it.
            let role = if is_whole { Role::Frame } else { Role::Content };
            for part in &term.parts {
                self.add_term(&mut probe, term, part, role);
            }
        }
        probe
    }

    fn add_term(&self, probe: &mut Probe, term: &Term, stems: &[String], role: Role) {
        let index = probe.terms.len();
        let exact = self.known(stems);
        let joined = self.known(&term.joined);
        // Where `logout` is a word, `log` alone is only half of what was asked.
        let strength = if joined.is_empty() { 1.0 } else { HALF };
        let mut found: Vec<(u32, f32)> = exact.iter().map(|id| (*id, strength)).collect();
        found.extend(joined.iter().map(|id| (*id, 1.0)));
        if found.is_empty() {
            let misspelt = stems.iter().flat_map(|stem| self.vocabulary.misspellings(stem));
            found.extend(misspelt.map(|id| (id, MISSPELT)));
        }
        // Names have no other forms: `Mark` is not `marked`. But 2.28 has a 2.28.1.
        let kin = |stem: &String| match role {
            Role::Name => self.vocabulary.versions(stem).into_iter().map(|id| (id, MISSPELT)).collect(),
            Role::Content | Role::Frame => self.vocabulary.kin(stem).into_iter().map(|id| (id, KIN)).collect::<Vec<_>>(),
        };
        found.extend(stems.iter().flat_map(kin));
        for (id, strength) in &found {
            let known = probe.matches.entry(*id).or_default();
            if !known.iter().any(|(other, _)| *other == index) {
                known.push((index, *strength));
            }
        }
        let rarity = if exact.is_empty() {
            if role == Role::Name { 1.0 } else { UNKNOWN }
        } else {
            exact.iter().map(|id| self.rarity(*id)).fold(1.0, f32::min)
        };
        let weight = (0.35 + 0.65 * rarity)
            * match role {
                Role::Name => NAME_WEIGHT,
                Role::Content => 1.0,
                Role::Frame => FRAME_WEIGHT,
            };
        let stands = |id: u32| role != Role::Name || self.documents.iter().any(|terms| terms.contains(&id));
        let is_known = found.iter().any(|(id, _)| stands(*id));
        probe.terms.push(ProbeTerm {
            surface: term.surface.clone(),
            position: term.position,
            weight,
            role,
            is_known,
            is_file: exact.iter().any(|id| self.file_names.contains(id)),
        });
    }

    fn known(&self, stems: &[String]) -> Vec<u32> {
        stems.iter().filter_map(|stem| self.vocabulary.get(stem)).collect()
    }

    /// From 0 (in every passage) to 1 (in none): BM25's inverse document frequency over its maximum.
    fn rarity(&self, term: u32) -> f32 {
        let total = self.passages.len() as f32;
        let frequency = self.frequencies[term as usize] as f32;
        let idf = |frequency: f32| (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln();
        idf(frequency) / idf(0.0)
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
        let sentences: Vec<Vec<Posting>> =
            passage.sentences.iter().map(|sentence| self.postings(&sentence.text, language)).collect();
        let lead = passage.lead.as_ref().map(|lead| self.postings(lead, language).into()).unwrap_or_default();
        let headings = passage.headings.iter().rev();
        let mut topics: Vec<Arc<[Posting]>> = headings.map(|title| self.context(&title.text, language)).collect();
        topics.push(Arc::clone(name));
        let entry = Entry { sentences, lead, topics };
        self.frequencies.resize(self.vocabulary.len(), 0);
        for term in entry.own().map(|posting| posting.term).collect::<HashSet<u32>>() {
            self.frequencies[term as usize] += 1;
        }
        let wholes = entry.indexed().filter(|posting| !posting.is_part).map(|posting| posting.term);
        self.documents[passage.document].extend(wholes);
        self.passages.push(passage);
        self.entries.push(entry);
    }

    fn context(&mut self, text: &Arc<str>, language: LanguageId) -> Arc<[Posting]> {
        if let Some(known) = self.contexts.get(text) {
            return Arc::clone(known);
        }
        // `fs.open(path[, flags])` is about `fs.open`.
        let topic = text.find('(').filter(|at| *at > 0).map_or(&**text, |at| &text[..at]);
        let postings: Arc<[Posting]> = self.postings(topic, language).into();
        self.contexts.insert(Arc::clone(text), Arc::clone(&postings));
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
        let total: usize = self.entries.iter().map(|entry| entry.indexed().count()).sum();
        let average = total as f32 / self.entries.len().max(1) as f32;
        // Passages are short and their lengths say little, so length counts less than usual.
        let embedder: Embedder<u64, Joined> = EmbedderBuilder::with_avgdl(average).b(0.5).build();
        let mut scorer = Scorer::new();
        for (id, entry) in (0u32..).zip(&self.entries) {
            let stems: Vec<&str> = entry.indexed().map(|posting| self.vocabulary.stem(posting.term)).collect();
            scorer.upsert(&id, embedder.embed(&stems.join(SEPARATOR)));
        }
        let Self { analyzer, vocabulary, frequencies, documents, file_names, passages, entries, .. } = self;
        Index { corpus, analyzer, passages, entries, vocabulary, documents, file_names, frequencies, embedder, scorer }
    }
}

impl Entry {
    pub(crate) fn own(&self) -> impl Iterator<Item = &Posting> {
        self.sentences.iter().flatten()
    }

    /// What BM25 sees.
    fn indexed(&self) -> impl Iterator<Item = &Posting> {
        self.own().chain(self.lead.iter()).chain(self.topics.iter().flat_map(|topic| topic.iter()))
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
        text.split(SEPARATOR).filter(|stem| !stem.is_empty()).map(str::to_owned).collect()
    }
}
