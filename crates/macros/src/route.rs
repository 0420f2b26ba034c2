//! `#[derive(Route)]`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Path, Result, Type, Variant};

use crate::snake;

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "a route is an enum: write one variant for each way the run can go on",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a route cannot be generic: write the types out, or put them behind a type alias",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a route needs at least one variant: each of them is an arm",
        ));
    }
    let arms = data
        .variants
        .iter()
        .map(Arm::of)
        .collect::<Result<Vec<_>>>()?;
    let path = library(input)?;
    Ok(generate(input, &path, &arms))
}

/// One variant.
struct Arm<'a> {
    variant: &'a Ident,
    field: Ident,
    name: String,
    types: Vec<&'a Type>,
}

impl<'a> Arm<'a> {
    fn of(variant: &'a Variant) -> Result<Self> {
        let types = match &variant.fields {
            Fields::Unit => Vec::new(),
            Fields::Unnamed(fields) => fields.unnamed.iter().map(|field| &field.ty).collect(),
            Fields::Named(_) => {
                return Err(Error::new_spanned(
                    variant,
                    "an arm cannot have named fields: put them into a struct, and that struct into the variant",
                ));
            }
        };
        Ok(Self {
            variant: &variant.ident,
            field: snake::ident(&variant.ident),
            name: snake::text(&variant.ident),
            types,
        })
    }

    /// What the arm gives.
    fn payload(&self) -> TokenStream {
        match &*self.types {
            [] => quote!(()),
            [one] => quote!(#one),
            several => quote!((#(#several),*)),
        }
    }

    /// Matches the variant and gives its payload.
    fn split(&self, index: u32, path: &Path) -> TokenStream {
        let variant = self.variant;
        let values: Vec<_> = (0..self.types.len())
            .map(|at| format_ident!("value{at}"))
            .collect();
        match &*values {
            [] => quote!(Self::#variant { .. } => #path::Pick::new(#index, ())),
            [one] => quote!(Self::#variant(#one) => #path::Pick::new(#index, #one)),
            several => {
                quote!(Self::#variant(#(#several),*) => #path::Pick::new(#index, (#(#several),*)))
            }
        }
    }
}

/// Where the library's items are.
fn library(input: &DeriveInput) -> Result<Path> {
    let mut path: Path = syn::parse_quote!(::stageflow::graph);
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("route"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta
                    .error("a route knows one setting: `#[route(crate = \"stageflow_graph\")]`"));
            }
            let text: syn::LitStr = meta.value()?.parse()?;
            path = text.parse_with(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(path)
}

fn generate(input: &DeriveInput, path: &Path, arms: &[Arm<'_>]) -> TokenStream {
    let (route, visibility) = (&input.ident, &input.vis);
    let struct_name = format_ident!("{route}Arms");
    let fields: Vec<_> = arms.iter().map(|arm| &arm.field).collect();
    let names: Vec<_> = arms.iter().map(|arm| &arm.name).collect();
    let payloads: Vec<_> = arms.iter().map(Arm::payload).collect();
    let splits = (0..).zip(arms).map(|(index, arm)| arm.split(index, path));
    let doc = format!("The arms of [`{route}`]: what each of its variants carries on to.");
    let field_docs = arms
        .iter()
        .map(|arm| format!("Taken when the route gives [`{route}::{}`].", arm.variant));
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
        #[must_use = "an arm that nothing is wired to leads nowhere"]
        #[allow(dead_code, clippy::exhaustive_structs, reason = "every arm is there to be named")]
        #visibility struct #struct_name {
            #(#[doc = #field_docs] #visibility #fields: #path::Handle<#payloads>,)*
        }

        #[automatically_derived]
        impl #path::Route for #route {
            type Arms = #struct_name;

            fn arms(arms: &mut #path::ArmList) -> Self::Arms {
                #struct_name { #(#fields: arms.arm::<#payloads>(#names),)* }
            }

            fn split(self) -> #path::Pick {
                match self { #(#splits,)* }
            }
        }
    }
}
