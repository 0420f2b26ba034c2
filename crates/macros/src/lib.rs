//! Stageflow's derives.
//!
//! Use them through `stageflow` or `stageflow-graph`, which export each derive beside its trait: that is where they are
//! documented, with examples.
//!
//! # Invariants
//!
//! * What is generated names every item by its full path, so it works whatever the user has imported.
//! * What cannot be derived is refused with a sentence that says what to write instead.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod route;
mod snake;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes an enum a route: each variant becomes an arm.
///
/// For `enum Topic` it writes `impl Route for Topic` and the struct `TopicArms` with one public handle for each variant, named
/// as the variant in `snake_case`. A variant with one field gives that field, one with several a tuple of them, one with none `()`.
///
/// `#[route(crate = "stageflow_graph")]` on the enum says where the library is, for programs that do not use the facade.
#[proc_macro_derive(Route, attributes(route))]
pub fn route(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    route::derive(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
