//! The binary boundary between host and plugin: two tables of functions and the plain values that they take.
//!
//! Not for plugin authors: the macros fill these tables in. What must hold: tables grow at their end only; every function
//! carries its thread and lifetime rule in a tag; no function of either table lets a panic out; a buffer is freed by the
//! side that made it (its `RVec` carries the function), and before the image is closed.
//!
//! Tags. `[generation-thread]`: only on a thread owned by the generation, joined before the image is closed.
//! `[any-thread]`: on any thread of the generation, also while other calls are going on.
//! `[opened]` after the layout check; `[loaded]` after `load` answered with success; `[draining]` no new runs come.

// abi_stable's derive raises these in our code, and only here.
#![allow(non_camel_case_types, missing_docs, reason = "made by abi_stable's derive: `_Ref` types and their fields")]

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr, RVec};

/// Host and plugin must have this in common.
pub const API_MAJOR: u32 = 1;
/// A plugin may be built against this or less.
pub const API_MINOR: u32 = 0;
/// The ELF section with the identity: JSON text, see [`crate::wire::Identity`], event types apart.
pub const IDENTITY_SECTION: &str = ".sexton.identity";
/// The ELF section with the ids of event types registered by attribute: each ends with a zero byte.
pub const TYPES_SECTION: &str = ".sexton.types";

/// What a plugin exports: the root module of its library.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRoot_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// `[generation-thread, opened]` The text of the identity section. Valid while the image is open.
    pub identity: extern "C" fn() -> RStr<'static>,
    /// `[generation-thread, opened]` Keeps the host's table, collects registrations. In: `wire::LoadOrder`. Out: a [`Reply`] with
    /// `wire::Batch`, or with `wire::EntryFailure`. At most once per opened image.
    pub load: extern "C" fn(host: HostTable_Ref, generation: u64, order: RSlice<'_, u8>) -> Reply,
    /// `[generation-thread, loaded]` One run, blocking until it ends; many at a time on several threads. In: `wire::RunOrder`. Out:
    /// `wire::RunReply`, always `ok`.
    pub run: extern "C" fn(order: RSlice<'_, u8>) -> Reply,
    /// `[generation-thread, loaded]` One call of an action, blocking. In: `wire::ActOrder`. Out: JSON null, or `wire::EntryFailure`.
    pub act: extern "C" fn(order: RSlice<'_, u8>) -> Reply,
    /// `[generation-thread, loaded]` `migrate_args` of a type, pure. In: the stored args. Out: the args that a run would see, checked to be
    /// readable by the job; or `wire::EntryFailure`.
    pub migrate: extern "C" fn(event_type: RStr<'_>, args: RSlice<'_, u8>) -> Reply,
    /// `[generation-thread, loaded]` The level from which on log records are sent: 0 = none, 1 = error … 5 = trace.
    pub log_level: extern "C" fn(level: u8),
    /// `[generation-thread, draining]` The plugin's own `unload`. Out: JSON null, or `wire::EntryFailure`. At most once, and no other
    /// function of the table after it.
    #[sabi(last_prefix_field)]
    pub unload: extern "C" fn() -> Reply,
}

/// What the host offers. Every function may be called from `load` on until `unload` has returned.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTable_Ref)))]
#[sabi(missing_field(panic))]
pub struct HostTable {
    /// `[any-thread]` Takes one log record by value. Never blocks for long, may drop.
    pub log: extern "C" fn(generation: u64, record: LogRecord<'_>),
    /// `[any-thread]` One call (`wire::HostCall`), blocking until answered; `run` 0 outside a run. Out: a [`Reply`] with the answer, or
    /// with `wire::CallRefusal`.
    pub call: extern "C" fn(generation: u64, run: u64, call: RSlice<'_, u8>) -> Reply,
    /// `[any-thread]` Whether the run was asked to stop.
    pub is_cancelled: extern "C" fn(generation: u64, run: u64) -> bool,
    /// `[any-thread]` Sleeps for so many microseconds; true if it slept them all, false if the run was asked to stop.
    pub pause: extern "C" fn(generation: u64, run: u64, micros: u64) -> bool,
    /// `[any-thread]` The host's clock, microseconds since the Unix epoch.
    #[sabi(last_prefix_field)]
    pub now_micros: extern "C" fn(generation: u64) -> i64,
}

/// JSON, and whether it is the answer or the failure.
#[repr(C)]
#[derive(StableAbi)]
pub struct Reply {
    /// True: the answer. False: the failure.
    pub ok: bool,
    /// JSON. Freed through its own table, before the image that made it is closed.
    pub body: RVec<u8>,
}

/// One `tracing` event of a plugin, rendered.
#[repr(C)]
#[derive(StableAbi)]
pub struct LogRecord<'a> {
    /// The run on whose thread it happened; 0 outside a run.
    pub run: u64,
    /// 1 = error … 5 = trace.
    pub level: u8,
    /// The event's target.
    pub target: RStr<'a>,
    /// Message and fields: `message key=value …`.
    pub message: RStr<'a>,
    /// Names of the open spans with their fields in braces, outermost first, joined by `:`.
    pub spans: RStr<'a>,
    /// Source file; empty if unknown.
    pub file: RStr<'a>,
    /// Source line; 0 if unknown.
    pub line: u32,
}

impl abi_stable::library::RootModule for PluginRoot_Ref {
    abi_stable::declare_root_module_statics! {PluginRoot_Ref}
    const BASE_NAME: &'static str = "sexton_plugin";
    const NAME: &'static str = "sexton_plugin";
    const VERSION_STRINGS: abi_stable::sabi_types::VersionStrings = abi_stable::package_version_strings!();
}
