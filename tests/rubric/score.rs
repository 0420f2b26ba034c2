//! The rules by which a message is scored: eight criteria, 0 to 3 points each, by what the text has and not by taste.

use std::fs;
use std::path::Path;

use crate::samples::{CANARY, Sample};

/// What is judged, in the order of the columns.
pub(crate) const CRITERIA: [&str; 8] = [
    "problem",
    "context",
    "cause",
    "fix",
    "data",
    "page",
    "form",
    "no secrets",
];

/// The points of one message, in the order of [`CRITERIA`].
pub(crate) fn score(sample: &Sample, docs: &Path) -> [u8; 8] {
    let text = Text::of(sample);
    [
        problem(&text),
        share(&sample.text, &sample.names),
        cause(&text, sample),
        fix(&text, sample),
        share(&sample.text, &sample.facts),
        page(&text, docs),
        form(&text, sample),
        secrets(sample),
    ]
}

/// A message taken apart: `CODE: problem; what to do; more of that`.
struct Text<'a> {
    code: Option<&'a str>,
    problem: &'a str,
    advice: Vec<&'a str>,
}

impl<'a> Text<'a> {
    fn of(sample: &'a Sample) -> Self {
        let (code, rest) = match sample.text.split_once(": ") {
            Some((code, rest)) if is_code(code) => (Some(code), rest),
            _ => (None, sample.text.as_str()),
        };
        let mut parts = rest.split("; ");
        Self {
            code,
            problem: parts.next().unwrap_or_default(),
            advice: parts.collect(),
        }
    }
}

pub(crate) fn is_code(text: &str) -> bool {
    text.len() == 6
        && text.starts_with("SF")
        && text[2..].chars().all(|digit| digit.is_ascii_digit())
}

/// One point each: it is said at all; in a sentence and not in a phrase that fits everything; with its subject in quotes.
fn problem(text: &Text<'_>) -> u8 {
    const VAGUE: [&str; 6] = [
        "something",
        "invalid",
        "unexpected",
        "unknown error",
        "internal error",
        "went wrong",
    ];
    let head = text.problem.split(": ").next().unwrap_or_default();
    let sentence = text.problem.split_whitespace().count() >= 4
        && !VAGUE.iter().any(|word| head.contains(word));
    let subject = text.problem.contains(['`', '"']);
    u8::from(!text.problem.is_empty()) + u8::from(sentence) + u8::from(subject)
}

/// How many of what was planted the message shows: all 3, half of it 2, any 1. Of context: the names of stage, pipeline,
/// field or key. Of data: what was expected, what came, the limit.
fn share(text: &str, planted: &[&str]) -> u8 {
    let shown = planted.iter().filter(|part| text.contains(**part)).count();
    match shown {
        0 => 0,
        shown if shown == planted.len() => 3,
        shown if shown * 2 >= planted.len() => 2,
        _ => 1,
    }
}

/// The statement alone 1; with a clause that says why 2; a clause that has the very thing in it, or the cause's text, 3.
fn cause(text: &Text<'_>, sample: &Sample) -> u8 {
    const WHY: [&str; 16] = [
        ": ",
        " because ",
        ", which ",
        " without ",
        " than ",
        " is not ",
        " that ",
        " twice",
        " itself",
        " for ",
        " of zero",
        " has no ",
        " is a ",
        " of another ",
        " such ",
        " (",
    ];
    if text.problem.is_empty() {
        return 0;
    }
    let starts = WHY.iter().filter_map(|why| text.problem.find(why));
    let Some(clause) = starts.min().map(|start| &text.problem[start..]) else {
        return 1;
    };
    let concrete = sample.facts.iter().any(|fact| clause.contains(fact));
    let from_cause = sample
        .chain
        .first()
        .is_some_and(|cause| clause.contains(&**cause));
    if concrete || from_cause { 3 } else { 2 }
}

/// Nothing after the problem 0; words that are no advice 1; an imperative, or a name that may have been meant, 2; with
/// the thing to use in backticks, or a choice, 3.
fn fix(text: &Text<'_>, sample: &Sample) -> u8 {
    const VERBS: [&str; 40] = [
        "add", "ask", "call", "change", "check", "choose", "compare", "correct", "drop", "emit",
        "find", "fix", "flatten", "give", "keep", "leave", "let", "look", "make", "name", "pass",
        "put", "raise", "read", "record", "remove", "rename", "report", "retry", "return", "run",
        "send", "start", "store", "take", "try", "turn", "use", "wait", "write",
    ];
    let imperative = |piece: &str| {
        let piece = piece.strip_prefix("please ").unwrap_or(piece);
        let first = piece.split_whitespace().next().unwrap_or_default();
        VERBS.contains(&first) || piece.starts_with("did you mean")
    };
    let advice = |part: &&&str| part.split(": ").any(imperative);
    match text.advice.iter().find(|part| advice(part)) {
        None => u8::from(!text.advice.is_empty()),
        Some(part) => {
            let handle = part.contains('`')
                || part.contains(", or ")
                || part.contains(" or ")
                || sample.names.iter().any(|name| part.contains(name));
            2 + u8::from(handle)
        }
    }
}

/// A code 1; with a page that says how to fix it 2; which is in the list of codes and has an example that runs 3.
fn page(text: &Text<'_>, docs: &Path) -> u8 {
    let Some(code) = text.code else { return 0 };
    let Ok(page) = fs::read_to_string(docs.join(format!("errors/{code}.md"))) else {
        return 1;
    };
    if !page.starts_with(&format!("# {code}: ")) || !page.contains("\n## How to fix it\n") {
        return 1;
    }
    let list = fs::read_to_string(docs.join("errors/README.md")).unwrap_or_default();
    2 + u8::from(list.contains(&format!("[{code}]")) && page.contains("\n```rust"))
}

/// 3, less one for each thing that is not as in every other message.
fn form(text: &Text<'_>, sample: &Sample) -> u8 {
    let said = &sample.text;
    let oddities = [
        text.code != sample.code,
        said.ends_with(['.', '!']),
        said.chars().any(char::is_control),
        said.chars().count() > 400,
        text.problem.starts_with(char::is_uppercase),
        ["Some(", "Ok(", "Err(", " { "]
            .iter()
            .any(|debug| said.contains(debug)),
        said.contains("rror:"),
        sample.help.is_some_and(|help| !said.ends_with(help)),
    ];
    3_u8.saturating_sub(oddities.into_iter().map(u8::from).sum())
}

/// A secret lay beside what is wrong: in the message or its causes 0, in `Debug` only 1, nowhere 3. If no secret could
/// come near, 2.
fn secrets(sample: &Sample) -> u8 {
    if sample.text.contains(CANARY) || sample.chain.iter().any(|cause| cause.contains(CANARY)) {
        0
    } else if sample.debug.contains(CANARY) {
        1
    } else if sample.is_near_a_secret {
        3
    } else {
        2
    }
}

#[test]
fn the_rules_tell_a_good_message_from_bad_ones() {
    let docs = crate::root().join("docs");
    let points = |text: &str| {
        let sample = Sample::with_text(
            "StageError",
            "StageErrorKind::TimedOut",
            Some("SF0303"),
            text,
        )
        .names(["rerank"])
        .facts(["2s"])
        .beside_a_secret();
        score(&sample, &docs)
    };
    let good = "SF0303: stage `rerank` took longer than 2s; raise its limit with `.timeout(..)`";
    assert_eq!(points(good), [3; 8]);
    let at = |criterion: &str| CRITERIA.iter().position(|name| *name == criterion).unwrap();
    let leaky = format!("{good}, it had {CANARY}");
    let worse = [
        ("problem", 1, "SF0303: invalid input"),
        ("problem", 0, ""),
        (
            "context",
            0,
            "SF0303: a stage took longer than 2s; raise its limit",
        ),
        (
            "cause",
            1,
            "SF0303: stage `rerank` timed out; raise its limit",
        ),
        ("fix", 0, "SF0303: stage `rerank` took longer than 2s"),
        (
            "fix",
            1,
            "SF0303: stage `rerank` took longer than 2s; that was too long",
        ),
        (
            "data",
            0,
            "SF0303: stage `rerank` took longer than it may; raise its limit",
        ),
        (
            "page",
            0,
            "stage `rerank` took longer than 2s; raise its limit",
        ),
        (
            "page",
            1,
            "SF9999: stage `rerank` took longer than 2s; raise its limit",
        ),
        (
            "form",
            1,
            "SF0303: Stage `rerank` took longer than 2s; raise its limit.",
        ),
        ("no secrets", 0, &leaky),
    ];
    for (criterion, most, text) in worse {
        let got = points(text)[at(criterion)];
        assert!(got <= most, "{criterion} of {text:?} is {got}");
    }
}
