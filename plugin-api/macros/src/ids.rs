//! The rule for ids, told to authors at compile time, and ids as bytes for the section `.sexton.types`.
//!
//! Not the only check: `sexton_plugin_api::ids` holds the same rule for ids made at run time. What must hold: both accept the same.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Error, LitStr};

const ID_MAX_BYTES: usize = 128;

/// Refuses an id that no host would take.
pub fn check(id: &LitStr) -> Result<(), Error> {
    let text = id.value();
    let good = text.len() <= ID_MAX_BYTES && text.contains('.') && text.split('.').all(is_part);
    if good {
        return Ok(());
    }
    let sentence = format!(
        "`{text}` is no id: two or more parts joined by `.`, each a lower-case letter followed by lower-case letters, digits, `_` or `-`, \
         at most {ID_MAX_BYTES} bytes, e.g. `acme.start_resource`"
    );
    Err(Error::new(id.span(), sentence))
}

fn is_part(part: &str) -> bool {
    let mut bytes = part.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// `static ID`: the id and a zero byte; in the section of type ids, if `advertised`.
pub fn as_static(id: &LitStr, advertised: bool) -> TokenStream {
    let text = format!("{}\0", id.value());
    let (length, bytes) = (text.len(), Literal::byte_string(text.as_bytes()));
    let section = advertised.then(|| quote!(#[used] #[unsafe(link_section = ".sexton.types")]));
    quote! {
        #section
        static ID: [u8; #length] = *#bytes;
    }
}
