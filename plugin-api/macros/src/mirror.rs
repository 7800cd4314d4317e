//! `derive(Deserialize, Serialize, JsonSchema)` for authors whose `Cargo.toml` lists this crate only.
//!
//! Not serde and not schemars: their own derives do the work, on a private mirror of the type, pointed at this crate's re-exports (a derive cannot
//! add `#[serde(crate = …)]` to the type itself). What must hold: the mirror has the same fields and attributes.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident};

/// Attributes that serde's derives read; they refuse any other.
const BY_SERDE: [&str; 2] = ["serde", "doc"];
/// Attributes that schemars' derive reads.
const BY_SCHEMARS: [&str; 5] = ["serde", "schemars", "validate", "garde", "doc"];

/// By serde, through its `remote` form.
pub fn deserialize(input: &DeriveInput) -> Result<TokenStream, Error> {
    let (name, mirror, remote) = remote(input)?;
    // serde takes the defaults from the type itself, but asks for the trait on the mirror.
    let default = if says(input, "serde", "default") { default_of(input, &mirror)? } else { TokenStream::new() };
    Ok(quote! {
        const _: () = {
            use ::sexton_plugin_api::__macros::serde;
            #[derive(serde::Deserialize)]
            #remote

            #default

            impl<'de> serde::de::Deserialize<'de> for #name {
                fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                    #mirror::deserialize(deserializer)
                }
            }
        };
    })
}

/// By serde, through its `remote` form.
pub fn serialize(input: &DeriveInput) -> Result<TokenStream, Error> {
    let (name, mirror, remote) = remote(input)?;
    Ok(quote! {
        const _: () = {
            use ::sexton_plugin_api::__macros::serde;
            #[derive(serde::Serialize)]
            #remote

            impl serde::ser::Serialize for #name {
                fn serialize<S: serde::ser::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                    #mirror::serialize(self, serializer)
                }
            }
        };
    })
}

/// By schemars, on the mirror under the type's own name.
pub fn json_schema(input: &DeriveInput) -> Result<TokenStream, Error> {
    let mirror = mirror_of(input, &BY_SCHEMARS)?;
    let (name, ident, text) = (&input.ident, &mirror.ident, input.ident.to_string());
    let rename = (!says(input, "schemars", "rename")).then(|| quote!(#[schemars(rename = #text)]));
    let default =
        if says(input, "serde", "default") || says(input, "schemars", "default") { default_of(input, ident)? } else { TokenStream::new() };
    Ok(quote! {
        const _: () = {
            use ::sexton_plugin_api::__macros::schemars;
            #[derive(schemars::JsonSchema)]
            #[schemars(crate = "::sexton_plugin_api::__macros::schemars")]
            #rename
            #[allow(dead_code, reason = "only its schema is wanted")]
            #mirror

            #default

            impl schemars::JsonSchema for #name {
                fn inline_schema() -> bool {
                    <#ident as schemars::JsonSchema>::inline_schema()
                }

                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    <#ident as schemars::JsonSchema>::schema_name()
                }

                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    ::std::borrow::Cow::Borrowed(::core::concat!(::core::module_path!(), "::", #text))
                }

                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    <#ident as schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    })
}

/// The type's name, the mirror's name, and the mirror as serde's `remote` form wants it.
fn remote(input: &DeriveInput) -> Result<(&Ident, Ident, TokenStream), Error> {
    let mirror = mirror_of(input, &BY_SERDE)?;
    let (name, text) = (&input.ident, input.ident.to_string());
    let remote = quote! {
        #[serde(crate = "::sexton_plugin_api::__macros::serde", remote = #text)]
        #[allow(dead_code, reason = "stands for the type that it mirrors")]
        #mirror
    };
    Ok((name, mirror.ident, remote))
}

/// The same type under another name, with the attributes that the derives read and no others.
fn mirror_of(input: &DeriveInput, read: &[&str]) -> Result<DeriveInput, Error> {
    if let Some(parameter) = input.generics.params.first() {
        let sentence = "this derive is for types without parameters: list `serde` (or `schemars`) in Cargo.toml and derive from there";
        return Err(Error::new_spanned(parameter, sentence));
    }
    let mut mirror = input.clone();
    mirror.ident = format_ident!("{}Mirror", input.ident, span = Span::call_site());
    mirror.vis = syn::Visibility::Inherited;
    let is_read = |attribute: &Attribute| read.iter().any(|name| attribute.path().is_ident(name));
    let retain = |fields: &mut Fields| fields.iter_mut().for_each(|field| field.attrs.retain(is_read));
    mirror.attrs.retain(is_read);
    match &mut mirror.data {
        Data::Struct(body) => retain(&mut body.fields),
        Data::Enum(body) => {
            for variant in &mut body.variants {
                variant.attrs.retain(is_read);
                retain(&mut variant.fields);
            }
        }
        Data::Union(body) => return Err(Error::new_spanned(body.union_token, "a union cannot be read from JSON")),
    }
    Ok(mirror)
}

/// Whether an attribute of the type itself has this key.
fn says(input: &DeriveInput, attribute: &str, key: &str) -> bool {
    let mut found = false;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident(attribute)) {
        // What does not parse here is reported by the real derive.
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident(key);
            if meta.input.peek(syn::token::Paren) {
                let inner;
                syn::parenthesized!(inner in meta.input);
                inner.parse::<TokenStream>()?;
            } else if let Ok(value) = meta.value() {
                value.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    found
}

/// The defaults of the type itself, for the mirror.
fn default_of(input: &DeriveInput, mirror: &Ident) -> Result<TokenStream, Error> {
    let name = &input.ident;
    let Data::Struct(syn::DataStruct { fields: Fields::Named(fields), .. }) = &input.data else {
        return Err(Error::new_spanned(name, "`default` on the type is for structs with named fields"));
    };
    let fields: Vec<&Ident> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    Ok(quote! {
        impl ::core::default::Default for #mirror {
            fn default() -> Self {
                let #name { #(#fields),* } = ::core::default::Default::default();
                Self { #(#fields),* }
            }
        }
    })
}
