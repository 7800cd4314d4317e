//! `#[plugin]`: exports what a host opens, reads and calls.
//!
//! Not the calls themselves: those are compiled in from `sexton-plugin-api`. What must hold: identity is in its section and reachable from the
//! exported header, so that no linker drops it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, ItemFn, LitStr, Token};

/// The symbol that abi_stable gives the header of a library; `sexton-plugin-api` has a test that it is this one.
const HEADER_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";
const NAME_MAX_BYTES: usize = 64;
const PREFIX: &str = "sexton-plugin-";

/// Nothing, or `name = "fx-counter"`.
pub struct Arguments {
    name: Option<LitStr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        if input.is_empty() {
            return Ok(Self { name: None });
        }
        let shape = "expected `#[plugin]` or `#[plugin(name = \"…\")]`";
        let key = input.parse::<Ident>().map_err(|e| Error::new(e.span(), shape))?;
        if key != "name" {
            return Err(Error::new(key.span(), shape));
        }
        input.parse::<Token![=]>().map_err(|e| Error::new(e.span(), shape))?;
        let name = input.parse::<LitStr>().map_err(|e| Error::new(e.span(), shape))?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { name: Some(name) })
    }
}

/// On `load`: the function and everything a library exports. On `unload`: the function.
pub fn expand(arguments: &Arguments, function: &ItemFn) -> Result<TokenStream, Error> {
    let ident = &function.sig.ident;
    if function.sig.inputs.len() != 1 || !function.sig.generics.params.is_empty() || function.sig.asyncness.is_some() {
        return Err(Error::new_spanned(&function.sig, format!("expected `fn {ident}(host: &Host) -> Result<(), PluginError>`")));
    }
    match (ident.to_string().as_str(), &arguments.name) {
        ("load", _) => library(arguments, function),
        ("unload", None) => Ok(quote!(#function)),
        ("unload", Some(name)) => Err(Error::new(name.span(), "the name is said on `load`")),
        _ => Err(Error::new_spanned(ident, "`#[plugin]` goes on `fn load` and on `fn unload`")),
    }
}

fn library(arguments: &Arguments, load: &ItemFn) -> Result<TokenStream, Error> {
    let name = name(arguments)?;
    // The package's version cannot need escaping: cargo takes nothing but semver.
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_else(|_| "0.0.0".to_owned());
    // Spelled as the author's own, so that a missing `unload` is reported in the author's words.
    let unload = Ident::new("unload", Span::call_site());
    Ok(quote! {
        #load

        const _: () = {
            use ::sexton_plugin_api::__macros as sexton;

            const PARTS: [&str; 13] = sexton::parts(#name, #version);
            const LENGTH: usize = sexton::length(&PARTS);
            #[used]
            #[unsafe(link_section = ".sexton.identity")]
            static IDENTITY: [u8; LENGTH] = sexton::joined(&PARTS);
            static LINK: sexton::Link = sexton::Link::new(sexton::ImageKind::Plugin);

            struct ThisPlugin;

            impl sexton::PluginEntry for ThisPlugin {
                fn identity() -> &'static str {
                    sexton::text(&IDENTITY)
                }

                fn link() -> &'static sexton::Link {
                    &LINK
                }

                fn load(host: &sexton::Host) -> ::core::result::Result<(), sexton::PluginError> {
                    load(host)
                }

                fn unload(host: &sexton::Host) -> ::core::result::Result<(), sexton::PluginError> {
                    #unload(host)
                }
            }

            #[unsafe(export_name = #HEADER_SYMBOL)]
            static HEADER: sexton::LibHeader = sexton::header::<ThisPlugin>();
        };
    })
}

/// What the author said, or the package's name without its prefix.
fn name(arguments: &Arguments) -> Result<String, Error> {
    let (name, span) = match &arguments.name {
        Some(literal) => (literal.value(), literal.span()),
        None => {
            let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
            (package.strip_prefix(PREFIX).unwrap_or(&package).to_owned(), Span::call_site())
        }
    };
    let mut bytes = name.bytes();
    let good = name.len() <= NAME_MAX_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if good {
        return Ok(name);
    }
    let sentence = format!(
        "`{name}` is no plugin name: a lower-case letter followed by lower-case letters, digits, `-` or `_`, at most {NAME_MAX_BYTES} bytes; say another by `#[plugin(name = \"…\")]`"
    );
    Err(Error::new(span, sentence))
}
