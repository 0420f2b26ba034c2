//! The question: what is refused at the door, and what is asked of a passage.

mod form;

use crate::language::Analyzer;
use crate::language::words::{Word, words};

pub(crate) use self::form::{Expect, Form};

/// Longer is no question but a document.
pub(crate) const LONGEST_QUESTION: usize = 1_000;

/// A question that may be asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) text: String,
    /// What a passage must speak about, in the order of the question.
    pub(crate) terms: Vec<Term>,
    pub(crate) form: Form,
}

/// One word of a question that is not glue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    /// As it was asked.
    pub(crate) surface: String,
    /// One for each language of the folder.
    pub(crate) stems: Vec<String>,
    /// The stems of it and a neighbour written as one word: `back pressure`, `log out`.
    pub(crate) joined: Vec<String>,
    /// The stems of an identifier's parts, for when nothing in the folder is called the whole.
    pub(crate) parts: Vec<Vec<String>>,
    pub(crate) position: u32,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A name, a number or an identifier: an answer without it answers something else.
    Name,
    Content,
    /// A word that frames the question more than it says what it is about (`many`, `called`, `explain`).
    Frame,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum QuestionError {
    #[error("the question is empty: ask something")]
    Empty,
    #[error("the question has {0} characters, more than {LONGEST_QUESTION}: shorten it")]
    TooLong(usize),
    #[error("the question holds a control character ({0:?}): remove it")]
    ControlCharacter(char),
    #[error("the question holds no letter and no digit: ask with words")]
    NoWords,
    #[error("the question `{0}` holds only words that every text holds: name what it is about")]
    OnlyStopWords(String),
}

/// Refuses what is no question, and takes the rest apart.
pub(crate) fn guard(text: &str, analyzer: &Analyzer) -> Result<Question, QuestionError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(QuestionError::Empty);
    }
    let length = text.chars().count();
    if length > LONGEST_QUESTION {
        return Err(QuestionError::TooLong(length));
    }
    if let Some(control) = text.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        return Err(QuestionError::ControlCharacter(control));
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(QuestionError::NoWords);
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let terms = terms_of(&text, analyzer);
    if terms.is_empty() {
        return Err(QuestionError::OnlyStopWords(text));
    }
    let form = Form::of(&text, &terms);
    Ok(Question { text, terms, form })
}

fn terms_of(text: &str, analyzer: &Analyzer) -> Vec<Term> {
    let language = analyzer.language_of_question(text);
    let found = words(text);
    // Where every word is capital, capitals say nothing; in German every noun is.
    let capitals = found.iter().filter(|word| is_capital(word)).count();
    let rare = capitals * 2 <= found.len() || found.len() < 3;
    let capitals_tell = rare && analyzer.code(language) != "de";
    let mut terms: Vec<Term> = Vec::new();
    for word in &found {
        let whole = &word.parts[0];
        if analyzer.is_stop_word(whole, language) || ALSO_GLUE.contains(&whole.as_str()) {
            continue;
        }
        let stems = analyzer.stems(whole);
        let is_pair = |pair: &&[Word<'_>]| pair.iter().any(|other| other.position == word.position);
        let joined = found.windows(2).filter(is_pair);
        let joined =
            joined.flat_map(|pair| analyzer.stems(&[pair[0].whole(), pair[1].whole()].concat()));
        let parts = word.parts[1..]
            .iter()
            .filter(|part| !analyzer.is_stop_word(part, language));
        if !terms.iter().any(|term| term.stems == stems) {
            terms.push(Term {
                surface: word.surface.to_owned(),
                joined: joined.collect(),
                parts: parts.map(|part| analyzer.stems(part)).collect(),
                position: word.position,
                role: role(word, text, capitals_tell),
                stems,
            });
        }
    }
    // A question of nothing but frame words means them.
    if terms.iter().all(|term| term.role == Role::Frame) {
        terms.iter_mut().for_each(|term| term.role = Role::Content);
    }
    terms
}

fn role(word: &Word<'_>, text: &str, capitals_tell: bool) -> Role {
    let is_written =
        capitals_tell && word.position > 0 && is_capital(word) && word.parts.len() == 1;
    let is_number = word.whole().chars().any(char::is_numeric);
    match () {
        () if is_written || is_number || is_marked(text, word.surface) => Role::Name,
        () if FRAME.contains(&word.whole()) => Role::Frame,
        () => Role::Content,
    }
}

fn is_capital(word: &Word<'_>) -> bool {
    word.surface.starts_with(char::is_uppercase)
}

/// Whether the word is quoted or set as code.
fn is_marked(text: &str, word: &str) -> bool {
    ['`', '"']
        .iter()
        .any(|mark| text.contains(&format!("{mark}{word}{mark}")))
}

/// Glue that the stop word lists leave out.
const ALSO_GLUE: &[&str] = &[
    "also",
    "although",
    "another",
    "anyone",
    "anything",
    "could",
    "either",
    "else",
    "ever",
    "every",
    "everyone",
    "everything",
    "exactly",
    "however",
    "instead",
    "let",
    "may",
    "might",
    "must",
    "neither",
    "none",
    "onto",
    "ought",
    "per",
    "perhaps",
    "please",
    "quite",
    "rather",
    "really",
    "shall",
    "since",
    "still",
    "though",
    "thus",
    "together",
    "unless",
    "upon",
    "us",
    "via",
    "whatever",
    "whether",
    "whose",
    "within",
    "would",
    "yet",
];

const FRAME: &[&str] = &[
    "according",
    "call",
    "called",
    "contain",
    "contains",
    "describe",
    "described",
    "difference",
    "document",
    "documents",
    "explain",
    "far",
    "find",
    "get",
    "give",
    "given",
    "happen",
    "happened",
    "happens",
    "kind",
    "kinds",
    "list",
    "long",
    "made",
    "make",
    "makes",
    "many",
    "mean",
    "means",
    "mention",
    "mentioned",
    "much",
    "name",
    "named",
    "names",
    "needed",
    "often",
    "one",
    "ones",
    "purpose",
    "say",
    "says",
    "show",
    "sort",
    "take",
    "takes",
    "talk",
    "tell",
    "thing",
    "things",
    "type",
    "types",
    "use",
    "used",
    "uses",
    "using",
    "want",
    "way",
    "work",
    "works",
    // German, French, Spanish.
    "heißt",
    "lange",
    "oft",
    "schnell",
    "viel",
    "viele",
    "longtemps",
    "souvent",
    "veces",
    "muchos",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Question, QuestionError> {
        guard(text, &Analyzer::default())
    }

    #[test]
    fn what_is_no_question_is_refused() {
        assert_eq!(ask(" \n"), Err(QuestionError::Empty));
        assert_eq!(ask("?!"), Err(QuestionError::NoWords));
        assert_eq!(
            ask("what\u{7}now"),
            Err(QuestionError::ControlCharacter('\u{7}'))
        );
        assert_eq!(
            ask("What is it about?"),
            Err(QuestionError::OnlyStopWords("What is it about?".into()))
        );
        assert_eq!(
            ask(&"a ".repeat(600)).unwrap_err(),
            QuestionError::TooLong(1_199)
        );
    }

    #[test]
    fn words_play_their_roles() {
        let question = ask("What kind of queue does `Sink` call in Berlin since 0.5?").unwrap();
        let roles: Vec<(&str, Role)> = question
            .terms
            .iter()
            .map(|term| (term.surface.as_str(), term.role))
            .collect();
        assert_eq!(
            roles,
            [
                ("kind", Role::Frame),
                ("queue", Role::Content),
                ("Sink", Role::Name),
                ("call", Role::Frame),
                ("Berlin", Role::Name),
                ("0.5", Role::Name),
            ]
        );
    }

    #[test]
    fn the_form_tells_what_is_expected() {
        let expects = |text: &str| ask(text).unwrap().form.expects;
        assert_eq!(expects("How many pipelines were built?"), Expect::Number);
        assert_eq!(expects("When was 1.2.0 released?"), Expect::Date);
        assert_eq!(expects("Who wrote the letter?"), Expect::Person);
        assert_eq!(expects("Why are events dropped?"), Expect::Reason);
        assert_eq!(expects("What is backpressure?"), Expect::Definition);
        assert_eq!(
            expects("Which scenario measures the drop rate?"),
            Expect::Anything
        );
    }
}
