//! `#[action]`: leaves the function as it is and adds a record to the section `sexton_events`.
//!
//! Not the bot engine. What must hold: flags and signature agree, so that the compiler's message is about types only.

use crate::ids;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, ItemFn, LitStr, Token};

/// `"acme.action.start", bulk, accepts_complement`
pub struct Arguments {
    uid: LitStr,
    bulk: bool,
    accepts_complement: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let shape = "expected `#[action(\"acme.action.start\", bulk, accepts_complement)]`: the id first, then flags";
        let uid = input.parse::<LitStr>().map_err(|e| Error::new(e.span(), shape))?;
        let mut arguments = Self { uid, bulk: false, accepts_complement: false };
        let mut complement_at = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let flag: Ident = input.parse()?;
            match flag.to_string().as_str() {
                "bulk" => arguments.bulk = true,
                "accepts_complement" => {
                    arguments.accepts_complement = true;
                    complement_at = Some(flag.span());
                }
                other => return Err(Error::new(flag.span(), format!("`{other}` is not known here: `bulk` or `accepts_complement`"))),
            }
        }
        match complement_at {
            Some(span) if !arguments.bulk => Err(Error::new(span, "`accepts_complement` is for bulk actions: add `bulk`")),
            _ => Ok(arguments),
        }
    }
}

/// The function and its record.
pub fn expand(arguments: &Arguments, function: &ItemFn) -> Result<TokenStream, Error> {
    ids::check(&arguments.uid)?;
    let (shape, parameters, wanted) = match (arguments.bulk, arguments.accepts_complement) {
        (true, true) => (quote!(bulk_with_complement), 4, "(bot: &Bot, settings: &Value, matches: &[Resource], non_matches: &[Resource])"),
        (true, false) => (quote!(bulk), 3, "(bot: &Bot, settings: &Value, matches: &[Resource])"),
        (false, _) => (quote!(each), 3, "(bot: &Bot, settings: &Value, resource: &Resource)"),
    };
    let signature = &function.sig;
    if signature.inputs.len() != parameters {
        return Err(Error::new_spanned(signature, format!("with these flags the function takes `{wanted}` and returns `ActionResult`")));
    }
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new_spanned(keyword, "an action is not async: it runs on a thread of its own and may block"));
    }
    let (name, id) = (&signature.ident, ids::as_static(&arguments.uid, false));
    let (bulk, accepts_complement) = (arguments.bulk, arguments.accepts_complement);
    Ok(quote! {
        #function

        const _: () = {
            use ::sexton_plugin_api::__macros as sexton;
            #id
            #[used]
            #[unsafe(link_section = "sexton_events")]
            static RECORD: sexton::Record = sexton::Record::action(&ID, sexton::ActionCode::#shape(#name), #bulk, #accepts_complement);
        };
    })
}
