//! What is left out of everything that is written down.

mod clause;
mod custom;
mod harmless;
mod json;
mod names;
mod one_line;
mod scan;
mod shape;
mod told;
mod word;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use custom::Custom;
pub(crate) use one_line::is_unsafe;
pub use one_line::one_line;

/// What is left out of everything that is written down: events, log lines, spans.
///
/// ```
/// use stageflow_events::Redaction;
///
/// let rules = Redaction::standard();
/// assert_eq!(rules.text("connection refused (os error 111)"), "connection refused (os error 111)");
/// assert_eq!(rules.text("401 for https://ada:hunter@db.example/x"), "401 for https://[redacted]@db.example/x");
/// assert_eq!(rules.text("bad key canary-0042, try again"), "bad key [redacted], try again");
/// ```
///
/// Three rules, each wider than the one before; what they find is replaced by [`Redaction::MARK`]:
///
/// 1. **Names.** What stands under a name that says it is a secret, such as `password`, `api_key`, `Authorization`: in JSON
///    at any depth, the whole value whatever its type; in texts what follows it, up to the end of the clause. Counts, such as
///    `input_tokens: 512`, stay.
/// 2. **Shapes.** Users and passwords in URLs, PEM blocks, `Bearer` and `Basic` credentials, keys with a well-known beginning
///    (`sk-`, `ghp_`, `AKIA`, ...), numbers of cards and bank accounts whose check digits are right.
/// 3. **The net.** Any word of six characters or more that mixes letters and digits, or has eight digits, or does not look
///    like a word of any language - but for what is plainly harmless: dates, versions, addresses, amounts with a unit, this
///    project's own error codes and ids, and a few words such as `sha256`.
///
/// So a secret that is made of letters only, stands alone and looks like a word gets through: put it into a
/// [`Redacted`](stageflow_context::Redacted), or under a name that says what it is. A harmless word that looks like a secret is
/// lost: name it with [`Redaction::allow`].
///
/// It takes time linear in the text, never panics, and done twice it changes nothing more. A clone is cheap.
#[derive(Clone, Default)]
pub struct Redaction(Rules);

#[derive(Clone, Default)]
enum Rules {
    Off,
    #[default]
    Standard,
    Own(Arc<Custom>),
}

impl Redaction {
    /// What stands in the place of what was left out, however long that was.
    pub const MARK: &'static str = "[redacted]";

    /// The rules that hold if nothing is said.
    #[must_use]
    pub const fn standard() -> Self {
        Self(Rules::Standard)
    }

    /// Leaves nothing out: for a developer's own machine.
    #[must_use]
    pub const fn off() -> Self {
        Self(Rules::Off)
    }

    /// The same rules, but this word is harmless wherever it stands alone, such as the name of a model: `gpt-4o-mini`. Upper
    /// and lower case are different. It does not help a word that stands under the name of a secret.
    #[must_use]
    pub fn allow(self, word: impl Into<String>) -> Self {
        self.with(|own| own.allowed.push(word.into()))
    }

    /// The same rules, and what stands under this name is a secret, too. Case and separators do not matter: `tax_id` is
    /// `taxId` and `Tax-Id`.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        self.with(|own| own.fields.push(names::folded(name)))
    }

    /// The same rules, and this text is left out wherever it is found, with the words it touches.
    #[must_use]
    pub fn literal(self, text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() {
            return self;
        }
        self.with(|own| own.literals.push(text))
    }

    /// The same rules, and words that `is_secret` says so of are left out, too. It is asked often, by whoever writes something
    /// down: it should be quick, and must not panic.
    #[must_use]
    pub fn also(self, is_secret: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.with(|own| own.matchers.push(Arc::new(is_secret)))
    }

    /// The same rules without the net: for programs whose texts are full of ids that they need. A secret without a name and
    /// without a well-known shape gets through.
    #[must_use]
    pub fn known_shapes_only(self) -> Self {
        self.with(|own| own.net = custom::Net::Off)
    }

    /// No text that did not come from the engine is written down at all: of an error only its code and its stage, of a note
    /// only its numbers and the names of its fields.
    #[must_use]
    pub fn without_texts(self) -> Self {
        self.with(|own| own.texts = custom::Texts::None)
    }

    /// The text without what looks like a secret.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Rules::Off => Cow::Borrowed(text),
            Rules::Own(own) if own.texts == custom::Texts::None => match text {
                "" => Cow::Borrowed(text),
                _ => Cow::Borrowed(Self::MARK),
            },
            _ => scan::without_secrets(text, self.own(), word::Strictness::Prose),
        }
    }

    /// The text without what looks like a secret, in one line: what is special to terminals or ends a line is written as
    /// `\n` or `\u{1b}`, so that nobody can forge a line, or hide one.
    #[must_use]
    pub fn line<'a>(&self, text: &'a str) -> Cow<'a, str> {
        one_line(self.text(text))
    }

    /// The name of something that programs call by name, such as a model, a tool or a part of a stage: only the first two
    /// rules hold, and of the third what is too long or too random to be a name. `gpt-4o-2024-08-06` stays.
    #[must_use]
    pub fn name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Rules::Off => Cow::Borrowed(name),
            _ => scan::without_secrets(name, self.own(), word::Strictness::Name),
        }
    }

    /// The value without what looks like a secret, or stands under a name that says it is one. Deeper than 64 levels nothing
    /// is kept.
    #[must_use]
    pub fn value<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        match &self.0 {
            Rules::Off => Cow::Borrowed(value),
            _ => json::without_secrets(self, value),
        }
    }

    /// Whether what stands under this name is a secret because of the name, whatever it is.
    #[must_use]
    pub fn is_secret_field(&self, name: &str) -> bool {
        match &self.0 {
            Rules::Off => false,
            _ => names::secrecy(name, self.own()) != names::Secrecy::None,
        }
    }

    fn own(&self) -> Option<&Custom> {
        match &self.0 {
            Rules::Own(own) => Some(own),
            Rules::Off | Rules::Standard => None,
        }
    }

    fn with(self, change: impl FnOnce(&mut Custom)) -> Self {
        let mut own = match self.0 {
            Rules::Off => return self,
            Rules::Standard => Arc::default(),
            Rules::Own(own) => own,
        };
        change(Arc::make_mut(&mut own));
        Self(Rules::Own(own))
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rules::Off => f.write_str("Redaction::off()"),
            Rules::Standard => f.write_str("Redaction::standard()"),
            Rules::Own(own) => own.fmt(f),
        }
    }
}
