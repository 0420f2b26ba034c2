//! Walks over JSON text without recursion, and knows where in it it is.

use std::borrow::Cow;

use crate::ids::excerpt;

/// A piece of JSON text. Strings keep their quotes and escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open(Container),
    Close,
    Key(&'a str),
    Scalar(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Object,
}

/// The pieces of a text that is known to be JSON, each with the offset where it starts.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).copied().is_some_and(&skipped) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn string(&mut self) -> &'a str {
        let start = self.at;
        self.at += 1;
        while let Some(stop) = self.skip(|b| !matches!(b, b'"' | b'\\')) {
            self.at += if stop == b'\\' { 2 } else { 1 };
            if stop == b'"' {
                break;
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.skip(|b| b.is_ascii_whitespace() || matches!(b, b',' | b':'))?;
        let start = self.at;
        let token = match first {
            b'{' => Token::Open(Container::Object),
            b'[' => Token::Open(Container::Array),
            b'}' | b']' => Token::Close,
            b'"' => {
                let string = self.string();
                return Some(match self.skip(|b| b.is_ascii_whitespace()) {
                    Some(b':') => (start, Token::Key(string)),
                    _ => (start, Token::Scalar(string)),
                });
            }
            _ => {
                self.skip(|b| {
                    !b.is_ascii_whitespace()
                        && !matches!(b, b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"')
                });
                return Some((
                    start,
                    Token::Scalar(self.text.get(start..self.at).unwrap_or_default()),
                ));
            }
        };
        self.at += 1;
        Some((start, token))
    }
}

/// Where a walk has got to: the steps from the outermost value to the present one.
#[derive(Default)]
pub(super) struct Position<'a> {
    steps: Vec<Step<'a>>,
}

pub(super) enum Step<'a> {
    /// In an object, at this key; the key keeps its quotes and escapes.
    Key(&'a str),
    /// In an array, at the item before this one.
    Next(usize),
}

impl<'a> Position<'a> {
    pub(super) fn advance(&mut self, token: Token<'a>) {
        match token {
            Token::Open(container) => {
                self.count_item();
                self.steps.push(match container {
                    Container::Array => Step::Next(0),
                    Container::Object => Step::Key(""),
                });
            }
            Token::Close => {
                self.steps.pop();
            }
            Token::Key(key) => {
                if let Some(step) = self.steps.last_mut() {
                    *step = Step::Key(key);
                }
            }
            Token::Scalar(_) => self.count_item(),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn steps(&self) -> &[Step<'a>] {
        &self.steps
    }

    /// As in `body.messages[3].role`, `root` being `body`.
    pub(super) fn render(&self, root: &str) -> String {
        let mut path = root.to_owned();
        for step in &self.steps {
            match step {
                Step::Key("") | Step::Next(0) => {}
                Step::Next(next) => path.extend(["[", &(next - 1).to_string(), "]"]),
                Step::Key(quoted) => path.extend([
                    if path.is_empty() { "" } else { "." },
                    &excerpt(&unquoted(quoted)),
                ]),
            }
        }
        path
    }

    fn count_item(&mut self) {
        if let Some(Step::Next(next)) = self.steps.last_mut() {
            *next += 1;
        }
    }
}

/// The path of what stands just before `offset`.
pub(super) fn path_before(text: &str, offset: usize, root: &str) -> String {
    let mut position = Position::default();
    for (_, token) in Tokens::new(text).take_while(|(start, _)| *start < offset) {
        position.advance(token);
    }
    position.render(root)
}

/// What a JSON string stands for; as it is, if it stands for nothing.
pub(super) fn unquoted(quoted: &str) -> Cow<'_, str> {
    let inside = quoted.trim_matches('"');
    if inside.contains('\\') {
        serde_json::from_str(quoted).map_or(Cow::Borrowed(inside), Cow::Owned)
    } else {
        Cow::Borrowed(inside)
    }
}
