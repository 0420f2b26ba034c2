//! The form of a sentence: whether it could answer a question of a given form, and whether it stands on its own.

use std::sync::LazyLock;

use regex::Regex;

use crate::question::Expect;

/// A sentence that begins with `This` or `It` leans on the one before.
const LEANS: f32 = 0.9;
/// One that ends with a colon promises what comes after it.
const PROMISES: f32 = 0.92;

/// 1 for a sentence that holds what the question expects, else 0.
pub(crate) fn is_met(expects: Expect, text: &str) -> f32 {
    let pattern = match expects {
        Expect::Anything => return 0.0,
        Expect::Date => &DATE,
        Expect::Definition => &DEFINES,
        Expect::Number => &NUMBER,
        Expect::Person => &PERSON,
        Expect::Reason => &REASON,
        Expect::Version => &VERSION,
    };
    f32::from(u8::from(
        pattern.as_ref().is_some_and(|regex| regex.is_match(text)),
    ))
}

/// Whether a word is a number, in digits or spelt.
pub(crate) fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || NUMBER.as_ref().is_some_and(|regex| regex.is_match(word))
}

/// Less for a sentence that is only half of what it says.
pub(crate) fn stands_alone(text: &str) -> f32 {
    let first = text.split(' ').next().unwrap_or_default();
    let is_aside = text.starts_with('(');
    let leans = is_aside
        || matches!(
            first,
            "This" | "That" | "It" | "They" | "These" | "Those" | "He" | "She"
        );
    (if leans { LEANS } else { 1.0 }) * (if text.ends_with(':') { PROMISES } else { 1.0 })
}

/// From 1 down to 0.75, for a sentence of 30 words up to one of 100.
pub(crate) fn brief(text: &str) -> f32 {
    let words = text.split(' ').count() as f32;
    1.0 - 0.25 * ((words - 30.0) / 70.0).clamp(0.0, 1.0)
}

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let month = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
    let forms = [
        r"\d{4}-\d{2}(-\d{2})?",
        r"\d{1,2}[./]\d{1,2}[./]\d{2,4}",
        r"(1\d{3}|20\d{2}|week \d)",
        &format!(r"{month}[a-z]*\.? \d"),
        &format!(r"\d{{1,2}}(st|nd|rd|th)?( of)? {month}"),
    ];
    Regex::new(&format!(r"(?i)\b({})", forms.join("|"))).ok()
});
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|\
                 hundreds?|thousands?|millions?|half|dozens?|once|twice|none";
    Regex::new(&format!(r"(?i)\d|\b({words})\b")).ok()
});
static PERSON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A title or a role, a capital word inside the sentence, or two at its start.
    let (title, inside) = (
        r"(?i:\b(by|author|mr|mrs|miss|dr|team)\b)",
        r"\p{Ll}[\p{Ll} ,:|]* \p{Lu}\p{Ll}+",
    );
    Regex::new(&format!(
        r"{title}|{inside}|^\p{{Lu}}\p{{Ll}}+ \p{{Lu}}\p{{Ll}}+"
    ))
    .ok()
});
static REASON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "because|since|so that|due to|in order to|therefore|reason|as a result|otherwise|\
                 weil|damit|denn|parce que|porque|perché";
    Regex::new(&format!(r"(?i)\b({words})\b")).ok()
});
static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[vV]?\d+\.\d+").ok());
static DEFINES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let verbs = "is|are|was|means|refers to|provides|ist|sind|est|es|è";
    Regex::new(&format!(r"(?i)^.{{0,80}}?(\b({verbs})\b|[:–—]|\s-\s)")).ok()
});
