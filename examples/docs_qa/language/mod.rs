//! From text to comparable terms: words, stems, stop words, in the languages of the folder.
//!
//! A folder may mix languages, and one question is too short to tell its own. So each document is stemmed in its
//! language, and a word of the question becomes one stem for each language of the folder.

mod irregular;
mod vocabulary;
pub(crate) mod words;

use std::collections::HashSet;
use std::fmt;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use whichlang::Lang;

use self::irregular::base;
pub(crate) use self::vocabulary::Vocabulary;
use self::words::{is_spaceless, words};

/// Text shorter than this says too little about its language.
const SHORTEST_SAMPLE: usize = 200;
const LONGEST_SAMPLE: usize = 4_000;

/// Turns text into [`Token`]s.
pub(crate) struct Analyzer {
    languages: Vec<Language>,
}

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) stem: String,
    /// Counted in words, stop words included. The parts of an identifier share its position.
    pub(crate) position: u32,
    /// Whether it is only a part of what stands there, as `java` is of `JavaScript`.
    pub(crate) is_part: bool,
}

/// A language the folder is written in: an index into its analyzer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LanguageId(usize);

struct Language {
    /// ISO 639-1, as the sentence splitter and the stop word lists name it.
    code: &'static str,
    stemmer: Option<Stemmer>,
    stop_words: HashSet<String>,
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer")
            .field("languages", &self.codes())
            .finish()
    }
}

/// For English alone, until [`Analyzer::language_of`] meets another language.
impl Default for Analyzer {
    fn default() -> Self {
        Self {
            languages: vec![Language::new(Lang::Eng)],
        }
    }
}

impl Analyzer {
    /// The language of a document; short texts and those in a language without a stemmer count as English.
    pub(crate) fn language_of(&mut self, text: &str) -> LanguageId {
        let Some(lang) = detect(text) else {
            return LanguageId(0);
        };
        let (code, _) = code_and_stemmer(lang);
        let found = self
            .languages
            .iter()
            .position(|language| language.code == code);
        LanguageId(found.unwrap_or_else(|| {
            self.languages.push(Language::new(lang));
            self.languages.len() - 1
        }))
    }

    pub(crate) fn code(&self, language: LanguageId) -> &'static str {
        self.languages[language.0].code
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.languages
            .iter()
            .map(|language| language.code)
            .collect()
    }

    /// The terms of a passage.
    pub(crate) fn tokens(&self, text: &str, language: LanguageId) -> Vec<Token> {
        let language = &self.languages[language.0];
        let mut tokens = Vec::new();
        for word in words(text) {
            for (index, part) in word
                .parts
                .iter()
                .enumerate()
                .filter(|(_, part)| !language.is_stop_word(part))
            {
                tokens.push(Token {
                    stem: language.stem(part),
                    position: word.position,
                    is_part: index > 0,
                });
            }
        }
        tokens
    }

    /// The language of the folder whose stop words explain most of a question: a question is mostly glue.
    pub(crate) fn language_of_question(&self, text: &str) -> LanguageId {
        let words = words(text);
        let glue = |language: &Language| {
            words
                .iter()
                .filter(|word| language.is_stop_word(&word.parts[0]))
                .count()
        };
        let mut best = (0, 0);
        for (index, language) in self.languages.iter().enumerate() {
            let count = glue(language);
            if count > best.1 {
                best = (index, count);
            }
        }
        LanguageId(best.0)
    }

    pub(crate) fn is_stop_word(&self, word: &str, language: LanguageId) -> bool {
        self.languages[language.0].is_stop_word(word)
    }

    /// The stems of a folded word in every language of the folder, each once.
    pub(crate) fn stems(&self, word: &str) -> Vec<String> {
        let mut stems: Vec<String> = Vec::new();
        for language in &self.languages {
            let stem = language.stem(word);
            if !stems.contains(&stem) {
                stems.push(stem);
            }
        }
        stems
    }
}

impl Language {
    fn new(lang: Lang) -> Self {
        let (code, algorithm) = code_and_stemmer(lang);
        let listed = stop_words::lookup(code).unwrap_or_default();
        // Lists write `don't`; a word is met here without its apostrophe's tail.
        let stop_words = listed
            .iter()
            .flat_map(|word| words(word))
            .flat_map(|word| word.parts)
            .collect();
        Self {
            code,
            stemmer: algorithm.map(Stemmer::create),
            stop_words,
        }
    }

    fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.contains(word)
    }

    /// The folded stem: stemmers need the accents that a reader may leave out.
    fn stem(&self, word: &str) -> String {
        let keeps = word.chars().any(|c| c.is_numeric() || c == '_');
        match &self.stemmer {
            Some(stemmer) if !keeps && self.code == "en" => fold(&stemmer.stem(base(word))),
            Some(stemmer) if !keeps => fold(&stemmer.stem(word)),
            _ => fold(word),
        }
    }
}

/// Without accents and ligatures, so that `Prüfung` and `Prufung` meet.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    word.nfkd().filter(|c| !is_combining_mark(*c)).collect()
}

fn detect(text: &str) -> Option<Lang> {
    let letters: String = text
        .chars()
        .take(LONGEST_SAMPLE)
        .filter(|c| c.is_alphabetic() || *c == ' ')
        .collect();
    if letters.chars().any(is_spaceless) || letters.len() >= SHORTEST_SAMPLE {
        return Some(whichlang::detect_language(&letters));
    }
    None
}

fn code_and_stemmer(lang: Lang) -> (&'static str, Option<Algorithm>) {
    match lang {
        Lang::Ara => ("ar", Some(Algorithm::Arabic)),
        Lang::Cmn => ("zh", None),
        Lang::Deu => ("de", Some(Algorithm::German)),
        Lang::Fra => ("fr", Some(Algorithm::French)),
        Lang::Hin => ("hi", None),
        Lang::Ita => ("it", Some(Algorithm::Italian)),
        Lang::Jpn => ("ja", None),
        Lang::Kor => ("ko", None),
        Lang::Nld => ("nl", Some(Algorithm::Dutch)),
        Lang::Por => ("pt", Some(Algorithm::Portuguese)),
        Lang::Rus => ("ru", Some(Algorithm::Russian)),
        Lang::Spa => ("es", Some(Algorithm::Spanish)),
        Lang::Swe => ("sv", Some(Algorithm::Swedish)),
        Lang::Tur => ("tr", Some(Algorithm::Turkish)),
        Lang::Vie => ("vi", None),
        Lang::Eng => ("en", Some(Algorithm::English)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        Analyzer::default()
            .tokens(text, LanguageId(0))
            .into_iter()
            .map(|token| token.stem)
            .collect()
    }

    #[test]
    fn words_become_stems_without_stop_words() {
        assert_eq!(
            stems("Which of the readers' caf\u{e9}s were tested?"),
            ["reader", "cafe", "test"]
        );
        assert_eq!(
            stems("Don't drop Stageflow\u{2019}s events"),
            ["drop", "stageflow", "event"]
        );
    }

    #[test]
    fn identifiers_are_found_whole_and_in_parts() {
        assert_eq!(
            stems("ContextSnapshot"),
            ["contextsnapshot", "context", "snapshot"]
        );
        assert_eq!(stems("with_run_id"), ["with_run_id", "run", "id"]);
        assert_eq!(
            stems("HTTPServer v0.5.1"),
            ["httpserver", "http", "server", "0.5.1"]
        );
    }

    #[test]
    fn languages_are_told_by_their_documents() {
        let mut analyzer = Analyzer::default();
        let german = "Die Warteschlange ist begrenzt und verwirft die \u{e4}ltesten Ereignisse, sobald sie voll ist. \
                      Danach wird gez\u{e4}hlt, wie viele Ereignisse verloren gingen und aus welchem Grund das geschah. \
                      Das Ergebnis steht im Bericht, den jeder Lauf am Ende schreibt.";
        let id = analyzer.language_of(german);
        assert_eq!(analyzer.code(id), "de");
        assert_eq!(
            analyzer.code(analyzer.language_of_question("Wie gro\u{df} ist die Warteschlange?")),
            "de"
        );
        assert_eq!(
            analyzer.code(analyzer.language_of_question("How long is the queue?")),
            "en"
        );
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(
            stems("\u{4e8b}\u{4ef6}\u{961f}"),
            ["\u{4e8b}\u{4ef6}", "\u{4ef6}\u{961f}"]
        );
    }

    #[test]
    fn near_misses_are_found() {
        let mut vocabulary = Vocabulary::default();
        let ids: Vec<u32> = ["behaviour", "failur", "frank"]
            .iter()
            .map(|stem| vocabulary.intern(stem))
            .collect();
        assert_eq!(vocabulary.misspellings("behavior"), ids[..1]);
        assert_eq!(vocabulary.kin("fail"), ids[1..2]);
        assert!(vocabulary.misspellings("franc").is_empty());
    }
}
