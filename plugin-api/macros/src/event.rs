//! `#[scheduled_event]`: leaves the block as it is and adds a record to the section `sexton_events`.
//!
//! Not a registration at run time: `load` reads the records. What must hold: the record refers to nothing but statics and functions.

use crate::ids;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, ItemImpl, LitInt, LitStr, Path, Token};

/// `EVENTS, "acme.start_resource", attempts = 3, …`
pub struct Arguments {
    owner: Path,
    id: LitStr,
    attempts: Option<u32>,
    first_delay_ms: Option<u64>,
    max_delay_ms: Option<u64>,
    deadline_ms: Option<u64>,
    timeout_ms: Option<u64>,
    grace_ms: Option<u64>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let shape = "expected `#[scheduled_event(EVENTS, \"acme.start_resource\")]`: the wrapper first, then the event type";
        if input.is_empty() || input.peek(LitStr) {
            return Err(input.error(shape));
        }
        let owner = input.parse::<Path>().map_err(|e| Error::new(e.span(), shape))?;
        input.parse::<Token![,]>().map_err(|e| Error::new(e.span(), shape))?;
        let id = input.parse::<LitStr>().map_err(|e| Error::new(e.span(), shape))?;
        let (attempts, first_delay_ms, max_delay_ms, deadline_ms) = (None, None, None, None);
        let mut arguments = Self { owner, id, attempts, first_delay_ms, max_delay_ms, deadline_ms, timeout_ms: None, grace_ms: None };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                arguments.option(input)?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn option(&mut self, input: ParseStream<'_>) -> Result<(), Error> {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        match name.to_string().as_str() {
            "attempts" => {
                let number: LitInt = input.parse()?;
                let n: u32 = number.base10_parse()?;
                if n == 0 {
                    return Err(Error::new(number.span(), "the first attempt counts: at least 1"));
                }
                self.attempts = Some(n);
            }
            "first_delay" => self.first_delay_ms = Some(millis(&input.parse()?)?),
            "max_delay" => self.max_delay_ms = Some(millis(&input.parse()?)?),
            "deadline" => self.deadline_ms = Some(millis(&input.parse()?)?),
            "timeout" => self.timeout_ms = Some(some_time(&input.parse()?)?),
            "grace" => self.grace_ms = Some(some_time(&input.parse()?)?),
            other => {
                let known = "`attempts`, `first_delay`, `max_delay`, `deadline`, `timeout` or `grace`";
                return Err(Error::new(name.span(), format!("`{other}` is not known here: {known}")));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        ids::check(&self.id)?;
        let is_static = self.owner.segments.last().is_some_and(|last| last.ident == "ScheduledEventManager");
        if self.id.value().starts_with("sexton.") && !is_static {
            return Err(Error::new(self.id.span(), "the prefix `sexton.` is reserved for types built into the host"));
        }
        Ok(())
    }
}

/// `10s` as milliseconds, and not none.
fn some_time(text: &LitStr) -> Result<u64, Error> {
    match millis(text)? {
        0 => Err(Error::new(text.span(), "no run can do anything in no time")),
        ms => Ok(ms),
    }
}

/// `10s` as milliseconds.
fn millis(text: &LitStr) -> Result<u64, Error> {
    let value = text.value();
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let size = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let product = number.parse::<u64>().ok().and_then(|n| n.checked_mul(size)).filter(|_| size > 0);
    product
        .ok_or_else(|| Error::new(text.span(), "expected a length of time such as `\"500ms\"`, `\"10s\"`, `\"5m\"`, `\"2h\"` or `\"1d\"`"))
}

/// The annotated `impl` block.
pub struct Block(ItemImpl);

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let wrong = |e: &Error| {
            Error::new(
                e.span(),
                "`#[scheduled_event]` goes on `impl ScheduledEventJob for …` or `impl MultiResourceScheduledEventJob for …`",
            )
        };
        let block: ItemImpl = input.parse().map_err(|e| wrong(&e))?;
        Ok(Self(block))
    }
}

/// The block and its record.
pub fn expand(arguments: &Arguments, block: &Block) -> Result<TokenStream, Error> {
    arguments.check()?;
    let Block(block) = block;
    let Some((trait_path, _)) = &block.trait_ else {
        return Err(Error::new_spanned(&block.self_ty, "this block implements no trait: `impl ScheduledEventJob for …` is needed"));
    };
    if let Some(parameter) = block.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "a generic job has no one schema: register each concrete type by call, `EVENTS.register::<T>(…)`",
        ));
    }
    let known = ["ScheduledEventJob", "MultiResourceScheduledEventJob"];
    if !trait_path.segments.last().is_some_and(|last| known.iter().any(|name| last.ident == name)) {
        return Err(Error::new_spanned(trait_path, "expected `ScheduledEventJob` or `MultiResourceScheduledEventJob`"));
    }
    let (owner, job) = (&arguments.owner, &block.self_ty);
    let id = ids::as_static(&arguments.id, true);
    let (attempts, first, max) = (option(arguments.attempts), option(arguments.first_delay_ms), option(arguments.max_delay_ms));
    let (deadline, timeout, grace) = (option(arguments.deadline_ms), option(arguments.timeout_ms), option(arguments.grace_ms));
    Ok(quote! {
        #block

        const _: () = {
            use ::sexton_plugin_api::__macros as sexton;
            #id
            #[used]
            #[unsafe(link_section = "sexton_events")]
            static RECORD: sexton::Record = sexton::Record::job(
                #owner.attribute_owner(),
                &ID,
                sexton::JobCode::of::<#job>(),
                sexton::RetryText { attempts: #attempts, first_delay_ms: #first, max_delay_ms: #max, deadline_ms: #deadline },
                sexton::TimeText { timeout_ms: #timeout, grace_ms: #grace },
            );
        };
    })
}

fn option<T: ToTokens>(value: Option<T>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
}
