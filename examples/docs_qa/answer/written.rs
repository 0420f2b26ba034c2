//! What a model wrote, as a draft with citations.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::answer::citations::{Cited, Draft};

static CITATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[([^\[\]\n]+?):(\d{1,9})(?:-\d+)?\]").ok());
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("\"([^\"]{12,})\"|\u{201c}([^\u{201d}]{12,})\u{201d}").ok());

/// What a model was asked to write.
#[derive(Deserialize)]
struct Written {
    sentences: Vec<WrittenSentence>,
}

#[derive(Deserialize)]
struct WrittenSentence {
    text: String,
    #[serde(default)]
    quote: Option<String>,
    source: String,
}

/// Reads a model's answer: the JSON it was asked for, or sentences that each end in `[file:line]`.
pub(crate) fn parse(answer: &str) -> Draft {
    let json = answer
        .find('{')
        .zip(answer.rfind('}'))
        .and_then(|(start, end)| answer.get(start..=end));
    let sentences = match json.and_then(|json| serde_json::from_str::<Written>(json).ok()) {
        Some(written) => written.sentences.iter().map(of_json).collect(),
        None => of_text(answer),
    };
    Draft { sentences }
}

fn of_json(sentence: &WrittenSentence) -> Cited {
    let place = sentence.source.trim().trim_matches(['[', ']']);
    let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
    let quote = sentence.quote.as_ref().unwrap_or(&sentence.text);
    Cited {
        text: one_line(&sentence.text),
        quote: one_line(quote),
        file: file.to_owned(),
        line: line.parse().unwrap_or_default(),
        ..Cited::default()
    }
}

fn of_text(answer: &str) -> Vec<Cited> {
    let Some(citation) = &*CITATION else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    let mut from = 0;
    for hit in citation.captures_iter(answer) {
        let (Some(whole), Some(file), Some(line)) = (hit.get(0), hit.get(1), hit.get(2)) else {
            continue;
        };
        let text = one_line(answer[from..whole.start()].trim_start_matches(['.', ' ', '\n']));
        from = whole.end();
        sentences.push(Cited {
            quote: quoted(&text).unwrap_or_else(|| text.clone()),
            text,
            file: file.as_str().to_owned(),
            line: line.as_str().parse().unwrap_or_default(),
            ..Cited::default()
        });
    }
    // What comes after the last citation has none, and the guard will say so.
    let rest = one_line(answer[from..].trim_start_matches(['.', ' ', '\n']));
    if rest.chars().any(char::is_alphanumeric) {
        sentences.push(Cited {
            quote: rest.clone(),
            text: rest,
            ..Cited::default()
        });
    }
    sentences
}

/// The longest quotation inside a sentence.
fn quoted(text: &str) -> Option<String> {
    let quotes = QUOTED.as_ref()?.captures_iter(text);
    let quotes = quotes.filter_map(|hit| {
        hit.get(1)
            .or_else(|| hit.get(2))
            .map(|quote| quote.as_str())
    });
    quotes.max_by_key(|quote| quote.len()).map(str::to_owned)
}

fn one_line(text: &str) -> String {
    let shown = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_models_are_read_in_both_forms() {
        let json = "```json\n{\"sentences\": [{\"text\": \"It drops.\", \"quote\": \"drops the oldest\", \
                    \"source\": \"[a.md:3]\"}]}\n```";
        let draft = parse(json);
        assert_eq!(
            (draft.sentences[0].quote.as_str(), draft.sentences[0].line),
            ("drops the oldest", 3)
        );
        let text =
            parse("It says \"drops the oldest of\" so [a.md:3]. Fix: 5 days [x/b.md:6]. And more.");
        let places: Vec<String> = text.sentences.iter().map(ToString::to_string).collect();
        assert_eq!(
            places,
            [
                "It says \"drops the oldest of\" so [a.md:3]",
                "Fix: 5 days [x/b.md:6]",
                "And more. [:0]",
            ]
        );
        assert_eq!(text.sentences[0].quote, "drops the oldest of");
    }
}
