//! The functions of the plugin's table: each catches panics, reads JSON, calls the author's code and writes JSON.
//!
//! Not written by authors: `#[plugin]` names them. What must hold: nothing unwinds out of them, and what they return is free of the
//! author's types.

use crate::abi::{HostTable_Ref, PluginRoot, PluginRoot_Ref, Reply};
use crate::bridge;
use crate::built_in;
use crate::context::{JobContext, Told};
use crate::door::Inside;
use crate::error::PluginError;
use crate::host::{Draft, Host, ImageKind, Link, Loaded};
use crate::job::{JobError, JobResult};
use crate::panics::{Panicked, guarded, set_panic_hook};
use crate::section::{self, Item};
use crate::wire::{ActOrder, Batch, EntryFailure, JobEnd, LoadOrder, RunOrder, RunReply};
use abi_stable::library::RootModuleResult;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr, RVec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// An image, as the tables see it. Implemented by `#[plugin]`.
pub trait PluginEntry: 'static {
    /// The text of the identity section.
    fn identity() -> &'static str;
    /// The image's link.
    fn link() -> &'static Link;
    /// The author's `load`.
    ///
    /// # Errors
    /// The author's.
    fn load(host: &Host) -> Result<(), PluginError>;
    /// The author's `unload`.
    ///
    /// # Errors
    /// The author's.
    fn unload(host: &Host) -> Result<(), PluginError>;
}

struct Tables<P>(PhantomData<P>);

impl<P: PluginEntry> Tables<P> {
    // A constant, so that nothing of the table lies on the heap and is lost when the image is closed.
    const ROOT: &'static WithMetadata<PluginRoot> = &WithMetadata::new(PluginRoot {
        identity: identity::<P>,
        load: load::<P>,
        run: run::<P>,
        act: act::<P>,
        migrate: migrate::<P>,
        log_level,
        unload: unload::<P>,
    });
}

/// The root module of an image.
#[must_use]
pub fn root<P: PluginEntry>() -> PluginRoot_Ref {
    PluginRoot_Ref(Tables::<P>::ROOT.static_as_prefix())
}

/// What the exported header names as the constructor.
pub extern "C" fn construct<P: PluginEntry>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(root::<P>)
}

extern "C" fn identity<P: PluginEntry>() -> RStr<'static> {
    RStr::from_str(P::identity())
}

extern "C" fn load<P: PluginEntry>(host: HostTable_Ref, generation: u64, order: RSlice<'_, u8>) -> Reply {
    let link = P::link();
    set_panic_hook(link);
    entry(|| {
        let order: LoadOrder = read(&order, "load")?;
        let level = order.log_level;
        link.open(host, generation, order);
        if link.kind == ImageKind::Plugin {
            bridge::install(link, level);
        }
        let _inside = Inside::enter(link.door(), 0);
        let loaded = guarded(|| P::load(link.host())).map_err(Panicked::into_failure).and_then(|ended| ended.map_err(failure));
        let batch = loaded.and_then(|()| seal(link));
        if batch.is_err() {
            forget(link);
        }
        batch
    })
}

/// Closes the batch: adds the actions, and looks for what was registered but would never be served.
fn seal(link: &'static Link) -> Result<Batch, EntryFailure> {
    let Draft { mut batch, jobs, wrappers } = link.close_draft();
    let mut loaded = Loaded { jobs, wrappers, ..Loaded::default() };
    let late = loaded.wrappers.iter().try_for_each(|wrapper| wrapper.check_faults()).map_err(failure);
    if let Err(error) = late.and_then(|()| check_records(link, &loaded)) {
        link.publish(loaded); // so that `close` finds the wrappers
        return Err(error);
    }
    let mut uids = BTreeSet::new();
    for (offer, code) in section::actions() {
        if let Some(fault) = crate::ids::fault_in_id(&offer.uid) {
            return Err(failure(format!("action id not allowed: {fault}")));
        }
        if !uids.insert(offer.uid.clone()) {
            return Err(failure(format!("the action `{}` is registered twice in this plugin", offer.uid)));
        }
        loaded.actions.insert(offer.uid.clone(), code);
        batch.actions.push(offer);
    }
    link.publish(loaded);
    Ok(batch)
}

fn check_records(link: &'static Link, loaded: &Loaded) -> Result<(), EntryFailure> {
    if link.kind == ImageKind::BuiltIn {
        return Ok(());
    }
    if let Some(id) = built_in::misplaced() {
        return Err(failure(format!(
            "`{id}` is registered on ScheduledEventManager, which is for types built into the host; a plugin registers on a \
             ScheduledEventRegistryWrapper"
        )));
    }
    for record in section::records() {
        let Item::Job { wrapper, id, .. } = record.item() else { continue };
        let id = section::id_text(id);
        if !loaded.wrappers.iter().any(|known| std::ptr::eq(*known, *wrapper)) {
            tracing::warn!(event_type = id, "registered on a wrapper whose `load` was not called: not offered");
        }
    }
    Ok(())
}

extern "C" fn run<P: PluginEntry>(order: RSlice<'_, u8>) -> Reply {
    /// What can be said of an order that is not understood.
    #[derive(Default, Deserialize)]
    struct Numbered {
        #[serde(default)]
        run: u64,
    }
    let reply = guarded(|| match serde_json::from_slice::<RunOrder>(&order) {
        Ok(order) => run_order(P::link(), order),
        Err(error) => {
            let run = serde_json::from_slice::<Numbered>(&order).unwrap_or_default().run;
            ended(run, JobEnd::Failed { message: format!("the order to run is not understood: {error}"), permanent: false })
        }
    });
    answer(&reply.unwrap_or_else(|panic| ended(0, panic.into_end())))
}

fn ended(run: u64, end: JobEnd) -> RunReply {
    RunReply { run, end, output: None, resources: Vec::new() }
}

fn run_order(link: &'static Link, order: RunOrder) -> RunReply {
    let run = order.run;
    let Some(code) = link.loaded().and_then(|loaded| loaded.jobs.get(&order.event_type).copied()) else {
        let message = format!("this build serves no event type `{}`", order.event_type);
        return ended(run, JobEnd::Failed { message, permanent: false });
    };
    let settings = link.load_order().map(|order| order.settings.clone()).unwrap_or_default();
    let cx = JobContext::new(link.door(), order, settings);
    let _inside = Inside::enter(link.door(), run);
    run_code(code.run, run, cx)
}

/// One run of a job: the tables come here, and so does the author's test bench.
pub(crate) fn run_code(code: fn(&str, &JobContext) -> JobResult, run: u64, cx: JobContext) -> RunReply {
    let end = guarded(|| code(cx.args(), &cx).map_err(JobError::into_end));
    let end = end.map_or_else(Panicked::into_end, |ended| ended.err().unwrap_or(JobEnd::Succeeded));
    let Told { output, resources } = cx.into_told();
    RunReply { run, end, output, resources }
}

extern "C" fn act<P: PluginEntry>(order: RSlice<'_, u8>) -> Reply {
    let link = P::link();
    entry(|| {
        let order: ActOrder = read(&order, "call an action")?;
        let code = link.loaded().and_then(|loaded| loaded.actions.get(&order.uid).copied());
        let code = code.ok_or_else(|| failure(format!("this build serves no action `{}`", order.uid)))?;
        let _inside = Inside::enter(link.door(), order.run);
        code.call(&order).map_err(failure)
    })
}

extern "C" fn migrate<P: PluginEntry>(event_type: RStr<'_>, args: RSlice<'_, u8>) -> Reply {
    let link = P::link();
    entry(|| {
        let code = link.loaded().and_then(|loaded| loaded.jobs.get(event_type.as_str()).copied());
        let code = code.ok_or_else(|| failure(format!("this build serves no event type `{event_type}`")))?;
        let text = std::str::from_utf8(&args).map_err(|e| failure(format!("the stored args are not text: {e}")))?;
        let _inside = Inside::enter(link.door(), 0);
        (code.migrate)(text).map_err(failure)
    })
}

extern "C" fn log_level(level: u8) {
    // Nothing to answer with; a panic here could only come from tracing's own registry, and must not cross.
    let _ = guarded(|| bridge::set_level(level));
}

extern "C" fn unload<P: PluginEntry>() -> Reply {
    let link = P::link();
    let reply = entry(|| {
        let _inside = Inside::enter(link.door(), 0);
        P::unload(link.host()).map_err(failure)
    });
    // Whatever the author's `unload` said or did: an image that is about to be closed owns nothing.
    let _ = guarded(|| forget(link));
    reply
}

/// Leaves nothing behind: the statics of an image that is closed are never dropped.
fn forget(link: &'static Link) {
    link.close();
    if link.kind == ImageKind::Plugin {
        built_in::forget_misplaced();
        bridge::forget();
    }
}

/// Runs an entry: its answer, its failure or its panic as a reply.
fn entry<T: Serialize>(work: impl FnOnce() -> Result<T, EntryFailure>) -> Reply {
    match guarded(work).map_err(Panicked::into_failure).and_then(|ended| ended) {
        Ok(value) => answer(&value),
        Err(failure) => Reply { ok: false, body: json(&failure) },
    }
}

fn answer(value: &impl Serialize) -> Reply {
    Reply { ok: true, body: json(value) }
}

fn json(value: &impl Serialize) -> RVec<u8> {
    // The wire types have text keys and no fallible `Serialize`: writing them cannot fail.
    serde_json::to_vec(value).unwrap_or_else(|_| Value::Null.to_string().into_bytes()).into()
}

fn read<T: for<'de> Deserialize<'de>>(text: &RSlice<'_, u8>, what: &str) -> Result<T, EntryFailure> {
    serde_json::from_slice(text).map_err(|e| failure(format!("the order to {what} is not understood: {e}")))
}

fn failure(message: impl std::fmt::Display) -> EntryFailure {
    EntryFailure { kind: "error".to_owned(), message: message.to_string(), place: None }
}
