//! Names of variants as names of fields.

use proc_macro2::Ident;
use syn::ext::IdentExt as _;

/// A variant's name in `snake_case`, as plain text: `HttpError` and `HTTPError` are `http_error`.
pub(crate) fn text(variant: &Ident) -> String {
    let name = variant.unraw().to_string();
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                *before != '_'
                    && (!before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if starts_word {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The same as an identifier; a keyword becomes a raw one.
pub(crate) fn ident(variant: &Ident) -> Ident {
    let name = text(variant);
    syn::parse_str::<Ident>(&name)
        .or_else(|_| syn::parse_str::<Ident>(&format!("r#{name}")))
        .map(|mut ident| {
            ident.set_span(variant.span());
            ident
        })
        .unwrap_or_else(|_| Ident::new(&format!("{name}_"), variant.span()))
}
