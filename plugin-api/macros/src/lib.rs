//! The attributes of `sexton-plugin-api`: `#[scheduled_event]`, `#[action]`, `#[plugin]`.
//!
//! Not for direct use. What must hold: the code written out catches every panic and never writes `extern "C"` for the author to see.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod action;
mod event;
mod ids;
mod mirror;
mod plugin;

/// Registers the job of an `impl` block under an event type.
///
/// ```text
/// #[scheduled_event(EVENTS, "acme.start_resource")]
/// impl MultiResourceScheduledEventJob for StartResource { … }
/// ```
///
/// The first argument is the `static` `ScheduledEventRegistryWrapper` that offers it, or `ScheduledEventManager` for code built into the
/// host. A retry policy may follow: `attempts = 5`, `first_delay = "10s"`, `max_delay = "10m"`; what is not said takes the host's default. So may `deadline = "1h"` (no attempt due later after the first),
/// `timeout = "30s"` (a run that takes longer is asked to stop) and `grace = "5s"` (how long it may then take to).
/// Several attributes on one block register one job under several types.
#[proc_macro_attribute]
pub fn scheduled_event(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as event::Arguments);
    let item = parse_macro_input!(item as event::Block);
    event::expand(&arguments, &item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Registers a function as an action.
///
/// ```text
/// #[action("acme.action.start_resource_example", bulk, accepts_complement)]
/// fn start_resource_example(bot: &Bot, settings: &Value, matches: &[Resource], non_matches: &[Resource]) -> ActionResult { … }
/// ```
///
/// Without `accepts_complement` the last parameter falls away; without `bulk` the function is called once a match, with `&Resource`.
#[proc_macro_attribute]
pub fn action(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as action::Arguments);
    let function = parse_macro_input!(item as syn::ItemFn);
    action::expand(&arguments, &function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a library a plugin: on `fn load` and on `fn unload` of the same module, once per library.
///
/// ```text
/// #[plugin]
/// fn load(host: &Host) -> Result<(), PluginError> { EVENTS.load(host) }
///
/// #[plugin]
/// fn unload(host: &Host) -> Result<(), PluginError> { EVENTS.unload(host) }
/// ```
///
/// The plugin's name is the package's without the prefix `sexton-plugin-`, or what `#[plugin(name = "…")]` on `load` says.
#[proc_macro_attribute]
pub fn plugin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as plugin::Arguments);
    let function = parse_macro_input!(item as syn::ItemFn);
    plugin::expand(&arguments, &function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// `serde::Deserialize`, without `serde` in the author's `Cargo.toml`. All of serde's attributes work; types with parameters do not.
#[proc_macro_derive(Deserialize, attributes(serde))]
pub fn deserialize(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as syn::DeriveInput);
    mirror::deserialize(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// `serde::Serialize`, without `serde` in the author's `Cargo.toml`. All of serde's attributes work; types with parameters do not.
#[proc_macro_derive(Serialize, attributes(serde))]
pub fn serialize(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as syn::DeriveInput);
    mirror::serialize(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// `schemars::JsonSchema`, without `schemars` in the author's `Cargo.toml`. Its attributes and serde's work; types with parameters do not.
#[proc_macro_derive(JsonSchema, attributes(serde, schemars, validate, garde))]
pub fn json_schema(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as syn::DeriveInput);
    mirror::json_schema(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
