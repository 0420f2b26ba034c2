//! Did you mean ...?

/// The name most like `wanted`, if one is like it at all (Jaro–Winkler similarity of at least 0.8).
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LEAST: f64 = 0.8;
    // The measure is quadratic in the length of the words; nobody mistypes a word of more than this.
    if wanted.len() > 128 {
        return None;
    }
    names
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, _)| *likeness >= LEAST)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
