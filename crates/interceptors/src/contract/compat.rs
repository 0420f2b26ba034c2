//! What a new version of a schema means for those who hold to the old one.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::words::{ANNOTATIONS, JUDGED, LEAST, MOST};

/// What a new version of a schema means for those who hold to the old one: what [`compat`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    breaking: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// One difference that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    at: String,
    what: String,
    breaks: Breaks,
}

/// For whom a difference matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Breaks {
    /// Whoever still makes values of the old version: the new one refuses some of them.
    Makers,
    /// Whoever still reads by the old version: some values of the new one are not what they expect.
    Readers,
    /// Perhaps both: this was not judged.
    Unknown,
}

impl Compat {
    /// Whether nothing breaks, as far as that was judged: see [`Compat::warnings`].
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.breaking.is_empty()
    }

    /// What breaks somebody.
    #[must_use]
    pub fn breaking(&self) -> &[Finding] {
        &self.breaking
    }

    /// What differs and was not judged.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    fn breaks(&mut self, at: &str, breaks: Breaks, what: impl Into<String>) {
        self.breaking.push(Finding {
            at: at.to_owned(),
            what: what.into(),
            breaks,
        });
    }

    fn warns(&mut self, at: &str, what: impl Into<String>) {
        self.warnings.push(Finding {
            at: at.to_owned(),
            what: what.into(),
            breaks: Breaks::Unknown,
        });
    }
}

impl Finding {
    /// Where in a value, as a JSON pointer; `*` stands for every item, or for every field that is not named.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What differs.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// For whom it matters.
    #[must_use]
    pub fn breaks(&self) -> Breaks {
        self.breaks
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.at.as_str() {
            "" => "the value",
            at => at,
        };
        let whom = match self.breaks {
            Breaks::Makers => "breaks those who make values by the old version",
            Breaks::Readers => "breaks those who read by the old version",
            Breaks::Unknown => "was not judged",
        };
        write!(f, "{at}: {}; this {whom}", self.what)
    }
}

/// One line for each finding, breaking ones first.
impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.breaking.iter().chain(&self.warnings);
        all.try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

/// What the step from the schema `old` to the schema `new` means for those who hold to the old one. The manual has the table
/// of what breaks whom.
///
/// Judged are types, `enum` and `const`, fields and which of them are required, other fields, items, and bounds on numbers,
/// lengths and counts. A difference in anything else that decides about values (`pattern`, `anyOf`, `$ref`, ..) is a warning.
/// The judgement errs on one side: what it calls breaking may be harmless for reasons it does not see.
///
/// ```
/// use serde_json::json;
/// use stageflow_interceptors::{Breaks, compat};
///
/// let old = json!({ "properties": { "n": { "type": "integer" } } });
/// let new = json!({ "properties": { "n": { "type": "number" } } });
/// let step = compat(&old, &new);
/// assert_eq!(step.breaking()[0].breaks(), Breaks::Readers); // they may meet a 1.5 now
/// ```
#[must_use]
pub fn compat(old: &Value, new: &Value) -> Compat {
    let mut found = Compat::default();
    schemas(&mut found, "", Some(old), Some(new), 0);
    found
}

/// Deeper than this nothing is judged.
const DEEPEST: usize = 64;

/// A schema, or what stands for one.
enum Schema<'a> {
    Anything,
    Nothing,
    Rules(&'a Map<String, Value>),
}

fn read(schema: Option<&Value>) -> Schema<'_> {
    match schema {
        Some(Value::Bool(false)) => Schema::Nothing,
        Some(Value::Object(rules)) => Schema::Rules(rules),
        _ => Schema::Anything,
    }
}

fn schemas(found: &mut Compat, at: &str, old: Option<&Value>, new: Option<&Value>, depth: usize) {
    if same(old, new, 0) {
        return;
    }
    if depth > DEEPEST {
        return found.warns(at, "it is nested too deep to be judged");
    }
    let none = Map::new();
    let (old, new) = match (read(old), read(new)) {
        (Schema::Nothing, Schema::Nothing) => return,
        (Schema::Nothing, _) => {
            return found.breaks(at, Breaks::Readers, "it was forbidden and is allowed now");
        }
        (_, Schema::Nothing) => {
            return found.breaks(at, Breaks::Makers, "it was allowed and is forbidden now");
        }
        (Schema::Anything, Schema::Anything) => return,
        (Schema::Rules(old), Schema::Rules(new)) => (old, new),
        (Schema::Rules(old), Schema::Anything) => (old, &none),
        (Schema::Anything, Schema::Rules(new)) => (&none, new),
    };
    types(found, at, old, new);
    choices(found, at, old, new);
    bounds(found, at, old, new);
    required(found, at, old, new);
    fields(found, at, old, new, depth);
    let inside = format!("{at}/*");
    schemas(
        found,
        &inside,
        old.get("items"),
        new.get("items"),
        depth + 1,
    );
    others(found, at, old, new);
}

/// Whether they are equal, and not nested too deep to tell.
fn same(old: Option<&Value>, new: Option<&Value>, depth: usize) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return old.is_none() && new.is_none();
    };
    match (old, new) {
        (Value::Array(_) | Value::Object(_), _) if depth > 2 * DEEPEST => false,
        (Value::Array(old), Value::Array(new)) => {
            let mut pairs = old.iter().zip(new);
            old.len() == new.len() && pairs.all(|(old, new)| same(Some(old), Some(new), depth + 1))
        }
        (Value::Object(old), Value::Object(new)) => {
            let mut fields = old.iter();
            old.len() == new.len()
                && fields.all(|(name, value)| same(Some(value), new.get(name), depth + 1))
        }
        (old, new) => old == new,
    }
}

/// The types a schema allows. A number is an integer or a fraction.
fn allowed_types(rules: &Map<String, Value>) -> BTreeSet<&str> {
    const ALL: [&str; 7] = [
        "array", "boolean", "fraction", "integer", "null", "object", "string",
    ];
    let named: Vec<&str> = match rules.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
        _ => return ALL.into(),
    };
    let each = named.into_iter().flat_map(|name| match name {
        "number" => vec!["fraction", "integer"],
        name => vec![name],
    });
    each.collect()
}

fn types(found: &mut Compat, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    let (was, is) = (allowed_types(old), allowed_types(new));
    if let Some(gone) = was.difference(&is).next() {
        let what = format!("its type is narrower: no more `{gone}`");
        found.breaks(at, Breaks::Makers, what);
    }
    if let Some(more) = is.difference(&was).next() {
        found.breaks(
            at,
            Breaks::Readers,
            format!("its type is wider: `{more}`, too"),
        );
    }
}

/// The values that `enum` and `const` leave; `None` if neither is there.
fn allowed_values(rules: &Map<String, Value>) -> Option<Vec<&Value>> {
    let listed = rules.get("enum").and_then(Value::as_array);
    match (listed, rules.get("const")) {
        (None, None) => None,
        (None, Some(only)) => Some(vec![only]),
        (Some(some), only) => {
            let fits = |value: &&Value| only.is_none_or(|only| only == *value);
            Some(some.iter().filter(fits).collect())
        }
    }
}

fn choices(found: &mut Compat, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    match (allowed_values(old), allowed_values(new)) {
        (None, None) => {}
        (None, Some(_)) => found.breaks(at, Breaks::Makers, "only some values are allowed now"),
        (Some(_), None) => found.breaks(at, Breaks::Readers, "it is not one of a few any more"),
        (Some(was), Some(is)) => {
            if was.iter().any(|value| !is.contains(value)) {
                found.breaks(at, Breaks::Makers, "fewer values are allowed");
            }
            if is.iter().any(|value| !was.contains(value)) {
                found.breaks(at, Breaks::Readers, "more values are allowed");
            }
        }
    }
}

fn bounds(found: &mut Compat, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    let bounds = LEAST.iter().map(|word| (word, 1.0));
    for (word, sign) in bounds.chain(MOST.iter().map(|word| (word, -1.0))) {
        // The higher the tighter; none is the loosest.
        let tight = |rules: &Map<String, Value>| {
            let bound = rules.get(*word).and_then(Value::as_f64);
            bound.map_or(f64::NEG_INFINITY, |bound| sign * bound)
        };
        let (was, is) = (tight(old), tight(new));
        if is > was {
            found.breaks(at, Breaks::Makers, format!("`{word}` is tighter"));
        } else if is < was {
            found.breaks(at, Breaks::Readers, format!("`{word}` is looser"));
        } else if old.get(*word) != new.get(*word) {
            found.warns(at, format!("`{word}` differs by less than can be told"));
        }
    }
}

fn names(rules: &Map<String, Value>) -> BTreeSet<&str> {
    let listed = rules.get("required").and_then(Value::as_array);
    listed
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn required(found: &mut Compat, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    let (was, is) = (names(old), names(new));
    for name in is.difference(&was) {
        found.breaks(&below(at, name), Breaks::Makers, "it is required now");
    }
    for name in was.difference(&is) {
        let what = "it was required and may be left out now";
        found.breaks(&below(at, name), Breaks::Readers, what);
    }
}

fn fields(
    found: &mut Compat,
    at: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    depth: usize,
) {
    let none = Map::new();
    fn of<'a>(
        rules: &'a Map<String, Value>,
        none: &'a Map<String, Value>,
    ) -> &'a Map<String, Value> {
        let declared = rules.get("properties");
        declared.and_then(Value::as_object).unwrap_or(none)
    }
    let (was, is) = (of(old, &none), of(new, &none));
    let (others_were, others_are) = (old.get(OTHERS), new.get(OTHERS));
    for (name, rules) in was {
        let at = below(at, name);
        match is.get(name) {
            Some(now) => schemas(found, &at, Some(rules), Some(now), depth + 1),
            None => {
                found.breaks(&at, Breaks::Readers, "the field is gone");
                if let Some(others) = others_are {
                    schemas(found, &at, Some(rules), Some(others), depth + 1);
                }
            }
        }
    }
    for (name, rules) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
        // Where anything could stand nobody has counted on anything; makers of the old version do not know the field.
        if let Some(others) = others_were.filter(|others| **others != Value::Bool(true)) {
            schemas(
                found,
                &below(at, name),
                Some(others),
                Some(rules),
                depth + 1,
            );
        }
    }
    schemas(
        found,
        &format!("{at}/*"),
        others_were,
        others_are,
        depth + 1,
    );
}

/// The keyword for fields that are not named.
const OTHERS: &str = "additionalProperties";

fn others(found: &mut Compat, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
    let words: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for word in words {
        let known = [JUDGED, ANNOTATIONS, LEAST, MOST];
        let is_known = known.iter().any(|words| words.contains(&word.as_str()));
        if !is_known && old.get(word) != new.get(word) {
            found.warns(at, format!("`{word}` differs, and is not judged"));
        }
    }
    if old.get("items").is_some_and(Value::is_array)
        || new.get("items").is_some_and(Value::is_array)
    {
        found.warns(at, "`items` is a list of schemas, and is not judged");
    }
}

/// The pointer of a field.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}
