//! The form of a question: what kind of answer it waits for.

use crate::language::words::words;
use crate::question::{Role, Term};

/// What the form of a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Anything,
    Date,
    Definition,
    Number,
    Person,
    Reason,
    Version,
}

/// What the first words of a question say about its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) expects: Expect,
    /// The position of what `how many` counts.
    pub(crate) counted: Option<u32>,
    /// The position of the property that `what is the ..` asks for.
    pub(crate) focus: Option<u32>,
    /// The positions of the kind of thing that `which ..` asks for.
    pub(crate) category: Vec<u32>,
    /// Whether it leans on what was said before (`its`, `that one`).
    pub(crate) is_follow_up: bool,
}

impl Form {
    pub(crate) fn of(text: &str, terms: &[Term]) -> Self {
        Self {
            expects: expectation(text, terms),
            counted: counted(text, terms),
            focus: focus(text, terms),
            category: category(text, terms),
            is_follow_up: words(text)
                .iter()
                .any(|word| FOLLOW_UP.contains(&word.parts[0].as_str())),
        }
    }
}

fn counted(text: &str, terms: &[Term]) -> Option<u32> {
    let many = words(text)
        .into_iter()
        .find(|word| matches!(word.parts[0].as_str(), "many" | "viele" | "combien"))?;
    terms
        .iter()
        .map(|term| term.position)
        .find(|position| *position > many.position)
}

/// `which stress test ..` asks for one of the stress tests.
fn category(text: &str, terms: &[Term]) -> Vec<u32> {
    let asks = words(text)
        .into_iter()
        .take(2)
        .find(|word| matches!(word.parts[0].as_str(), "which" | "what"));
    let Some(asks) = asks else { return Vec::new() };
    let next = asks.position + 1..=asks.position + 2;
    let near = terms
        .iter()
        .filter(|term| term.role == Role::Content && next.contains(&term.position));
    let positions: Vec<u32> = near.map(|term| term.position).collect();
    // Right after it, or it is `what does it ..`.
    if positions.first() == Some(next.start()) {
        positions
    } else {
        Vec::new()
    }
}

fn focus(text: &str, terms: &[Term]) -> Option<u32> {
    let words: Vec<String> = words(text)
        .into_iter()
        .map(|word| word.parts[0].clone())
        .collect();
    // `which day` is answered by `on Tuesday`, but `what is the price` by nothing that names no price.
    let asks = words.len() > 3
        && words[0] == "what"
        && matches!(words[1].as_str(), "is" | "are" | "was" | "were");
    let first = terms.iter().find(|term| term.role != Role::Frame)?;
    (asks && words[2] == "the" && first.position == 3).then_some(first.position)
}

fn expectation(text: &str, terms: &[Term]) -> Expect {
    let words: Vec<String> = words(text)
        .into_iter()
        .map(|word| word.parts[0].clone())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let begins = |known: &[&str]| words.iter().take(2).any(|word| known.contains(word));
    let what = begins(&["what", "which"]);
    let what_of = |known: &[&str]| what && words.iter().take(5).any(|word| known.contains(word));
    let version =
        |pair: &[&str]| matches!(pair, ["which" | "what", "version" | "versions" | "release"]);
    match () {
        () if begins(WHEN) || what_of(&["year", "date", "day", "month"]) => Expect::Date,
        () if words.windows(2).any(version) => Expect::Version,
        () if begins(HOW_MANY) || measures(&words) || what_of(COUNTED) => Expect::Number,
        () if begins(WHO) && !begins(&["how"]) => Expect::Person,
        () if begins(WHY) => Expect::Reason,
        () if what && defines(&words, terms) => Expect::Definition,
        () => Expect::Anything,
    }
}

/// `how long`, `wie viele`.
fn measures(words: &[&str]) -> bool {
    words.windows(2).any(|pair| match pair[0] {
        "how" => MEASURED.contains(&pair[1]),
        "wie" => matches!(pair[1], "viel" | "viele" | "lange"),
        _ => false,
    })
}

/// `What is a queue?`, `What does a queue do?`, `What is the purpose of a queue?`
fn defines(words: &[&str], terms: &[Term]) -> bool {
    let content = terms.iter().filter(|term| term.role != Role::Frame).count();
    let asks = words
        .get(1)
        .is_some_and(|word| matches!(*word, "is" | "are" | "was" | "does" | "do"));
    asks && content <= 2
}

// English, German, French, Spanish, Italian or Portuguese, Dutch.
const WHEN: &[&str] = &[
    "when", "wann", "quand", "cuándo", "cuando", "quando", "wanneer",
];
const WHO: &[&str] = &[
    "who", "whom", "whose", "wer", "wem", "qui", "quién", "quien", "chi", "quem", "wie",
];
const WHY: &[&str] = &["why", "warum", "weshalb", "pourquoi", "perché", "waarom"];
const HOW_MANY: &[&str] = &[
    "wieviel", "wieviele", "combien", "cuánto", "cuántos", "quanti", "quantos", "hoeveel",
];

/// What follows `how` when it asks for a quantity.
const MEASURED: &[&str] = &[
    "big", "deep", "far", "fast", "few", "heavy", "high", "large", "long", "many", "much", "often",
    "old", "quickly", "small", "soon", "tall", "wide",
];

/// What follows `what` when it asks for a quantity.
const COUNTED: &[&str] = &[
    "age",
    "amount",
    "cost",
    "count",
    "default",
    "fraction",
    "length",
    "limit",
    "maximum",
    "minimum",
    "number",
    "percent",
    "percentage",
    "port",
    "price",
    "rate",
    "size",
    "timeout",
    "width",
];

const FOLLOW_UP: &[&str] = &[
    "he", "her", "him", "his", "it", "its", "she", "that", "their", "them", "these", "they",
    "this", "those",
];
