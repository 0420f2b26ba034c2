//! Both splitters on small texts.

use super::*;

type Row = (Kind, u32, String, String);

fn row(kind: Kind, line: u32, text: &str, context: &str) -> Row {
    (kind, line, text.to_owned(), context.to_owned())
}

fn of(text: &str, format: Format) -> Vec<Passage> {
    let document = Document {
        name: "a".into(),
        path: None,
        format,
        text: text.to_owned(),
    };
    split(&document, 0, "en")
}

fn rows(passages: Vec<Passage>) -> Vec<Row> {
    let text = |passage: &Passage| {
        let sentences: Vec<&str> = passage
            .sentences
            .iter()
            .map(|sentence| sentence.text.as_str())
            .collect();
        sentences.join(" ")
    };
    let row = |passage: Passage| {
        (
            passage.kind,
            passage.sentences[0].line,
            text(&passage),
            passage.context(),
        )
    };
    passages.into_iter().map(row).collect()
}

fn markdown_passages(text: &str) -> Vec<Row> {
    rows(of(text, Format::Markdown))
}

fn plain_passages(text: &str) -> Vec<Row> {
    rows(of(text, Format::Plain))
}

#[test]
fn lists_keep_what_introduces_them() {
    let text = "# Guide\n\n**Queues** (all)[^1]\n\n- **Gap**: none\n- Fix\n  - soon\n\n1. loose\n\n   more\n";
    assert_eq!(
        markdown_passages(text),
        [
            row(Kind::Heading, 1, "Guide", ""),
            row(Kind::Heading, 3, "Queues (all)", "Guide"),
            row(Kind::Item, 5, "Gap: none", "Guide > Queues (all)"),
            row(Kind::Item, 6, "Fix", "Guide > Queues (all)"),
            row(Kind::Item, 7, "soon", "Guide > Queues (all) > Fix"),
            row(Kind::Item, 9, "loose", "Guide > Queues (all)"),
            row(Kind::Paragraph, 11, "more", "Guide > Queues (all) > loose"),
        ]
    );
}

#[test]
fn rows_code_and_front_matter_have_their_lines() {
    let text = "---\ntitle: Notes\nowner: Ada\n---\n\nTop\n===\n\n| Key | Value |\n|-----|-------|\n| a `b` | **2** |\n\n\
                Run:\n\n```sh\nmake all\n\nmake test\n```\n";
    assert_eq!(
        markdown_passages(text),
        [
            row(Kind::Heading, 2, "title: Notes", "Notes"),
            row(Kind::Metadata, 3, "owner: Ada", "Notes"),
            row(Kind::Heading, 6, "Top", "Notes"),
            row(Kind::TableHead, 9, "Key | Value", "Notes > Top"),
            row(Kind::Row, 11, "a b | 2", "Notes > Top > Key | Value"),
            row(Kind::Paragraph, 13, "Run:", "Notes > Top"),
            row(Kind::Code, 16, "make all make test", "Notes > Top > Run:"),
        ]
    );
}

#[test]
fn html_shows_its_text_only() {
    let text = "<div align=\"center\">\n<!-- not\nthis -->\nShown here\n</div>\n\nA Vec<T> and a <b>bold</b> word.\n";
    assert_eq!(
        markdown_passages(text),
        [
            row(Kind::Paragraph, 4, "Shown here", ""),
            row(Kind::Paragraph, 7, "A Vec<T> and a bold word.", ""),
        ]
    );
}

#[test]
fn hard_breaks_and_quotations_end_sentences() {
    let text = "> **Run**: one  \n> **Date**: today\n";
    let lines: Vec<u32> = of(text, Format::Markdown)[0]
        .sentences
        .iter()
        .map(|sentence| sentence.line)
        .collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn novels_have_chapters_and_paragraphs() {
    let text =
        "CHAPTER I.\n\nIt was the best of\ntimes, it was.\n\nII\n\n    Indented, yet prose.\n";
    assert_eq!(
        plain_passages(text),
        [
            row(Kind::Heading, 1, "CHAPTER I.", ""),
            row(
                Kind::Paragraph,
                3,
                "It was the best of times, it was.",
                "CHAPTER I."
            ),
            row(Kind::Heading, 6, "II", ""),
            row(Kind::Paragraph, 8, "Indented, yet prose.", "II"),
        ]
    );
}

#[test]
fn underlined_headings_nest_in_order_of_appearance() {
    let text = "=====\nGuide\n=====\n\nUsage\n-----\nFirst words:\n\n* one\n  goes on\n* two\n\nMore\n----\n\nText.\n";
    assert_eq!(
        plain_passages(text),
        [
            row(Kind::Heading, 2, "Guide", ""),
            row(Kind::Heading, 5, "Usage", "Guide"),
            row(Kind::Paragraph, 7, "First words:", "Guide > Usage"),
            row(Kind::Item, 9, "one goes on", "Guide > Usage > First words:"),
            row(Kind::Item, 11, "two", "Guide > Usage > First words:"),
            row(Kind::Heading, 13, "More", "Guide"),
            row(Kind::Paragraph, 16, "Text.", "Guide > More"),
        ]
    );
}

#[test]
fn a_text_without_blank_lines_is_cut() {
    let text: String = (1..=40)
        .map(|n| format!("2024-01-{n:02} entry number {n}\n"))
        .collect();
    let all = plain_passages(&text);
    assert!(all.len() >= 4, "{}", all.len());
    assert_eq!(all[1].1, 13);
}
