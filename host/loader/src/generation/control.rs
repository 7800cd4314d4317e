//! The control thread: opens the image, calls `load`, waits, calls `unload`; and the closer that comes after all others.
//!
//! What must hold: `unload` is called only when nothing of the plugin runs; the closer joins every other thread of the generation before it
//! closes the image; nothing made by the plugin is alive then.

use super::board::Phase;
use super::{Shared, Source, host_table};
use crate::image::Image;
use crate::rejection::Rejection;
use crate::runner::bounds::{BATCH_MAX, NAME_MAX, OFFERS_MAX, SENTENCE_MAX};
use crate::runner::{last_words, weight};
use crate::seam::{Farewell, Memory, Report};
use crate::shown::cut;
use abi_stable::std_types::RSlice;
use sexton_plugin_api::abi::{PluginRoot_Ref, Reply};
use sexton_plugin_api::wire::{Batch, EntryFailure, LoadOrder};
use std::sync::Arc;

/// The thread.
pub(super) fn run(shared: &Arc<Shared>, source: Source) {
    let Some(order) = wait_for_load(shared) else {
        // Never opened.
        host_table::leave(shared);
        finish(shared, None, None);
        return;
    };
    // All that this thread does from here on is the plugin's: constructors, `load`, `unload`.
    last_words::entered(0, shared.generation);
    let (image, opened) = open(source);
    let loaded = opened.and_then(|root| {
        let batch = load(shared, root, &order)?;
        Ok((root, batch))
    });
    let mut unload = None;
    match loaded {
        Ok((root, batch)) => {
            {
                let mut board = shared.board.lock();
                board.root = Some(root);
                board.phase = Phase::Loaded;
                shared.report(Report::Loaded(Ok(batch)));
            }
            wait_for_unload(shared);
            unload = said(&root.unload()()).err();
        }
        Err(rejection) => shared.report(Report::Loaded(Err(rejection))),
    }
    finish(shared, image, unload);
}

fn wait_for_load(shared: &Shared) -> Option<LoadOrder> {
    let mut board = shared.board.lock();
    loop {
        if board.unload {
            board.phase = Phase::Ended;
            return None;
        }
        if let Some(order) = board.load.take() {
            board.phase = Phase::Loading;
            return Some(order);
        }
        shared.turn.wait(&mut board);
    }
}

fn wait_for_unload(shared: &Shared) {
    let drain_came_early = shared.board.lock().drain;
    if drain_came_early {
        shared.drain();
    }
    let mut board = shared.board.lock();
    while !(board.unload && board.is_quiet()) {
        shared.turn.wait(&mut board);
    }
}

fn open(source: Source) -> (Option<Image>, Result<PluginRoot_Ref, Rejection>) {
    match source {
        Source::BuiltIn(root) => (None, Ok(root)),
        Source::Copy(path) => match Image::open(&path) {
            Ok(image) => {
                let root = image.root();
                (Some(image), root)
            }
            Err(rejection) => (None, Err(rejection)),
        },
    }
}

fn load(shared: &Shared, root: PluginRoot_Ref, order: &LoadOrder) -> Result<Batch, Rejection> {
    let plugin = &shared.plugin;
    let refused = |why: String| {
        Rejection::new("PLG015", format!("`load` of plugin `{plugin}` failed: {why}"))
            .expected("`load` returns `Ok` after registering everything")
            .remedy("see the plugin's own words above; `sexton plugin check FILE` calls `load` without a host")
    };
    let order = serde_json::to_vec(order).map_err(|e| refused(format!("its settings cannot be written as JSON: {e}")))?;
    let reply = root.load()(host_table::table(), shared.connection, RSlice::from_slice(&order));
    if reply.body.len() > BATCH_MAX {
        return Err(refused(format!("it offers {} bytes, at most {BATCH_MAX} are taken", reply.body.len())));
    }
    if reply.ok {
        return offered(reply.body.as_slice()).map_err(refused);
    }
    let failure = said(&reply).err().unwrap_or_else(|| unsaid(&"no reason given"));
    if failure.kind == "panic" {
        let place = failure.place.map_or_else(String::new, |place| format!(" at {place}"));
        return Err(Rejection::new("PLG016", format!("`load` of plugin `{plugin}` panicked{place}: {}", failure.message))
            .expected("`load` returns an error instead of panicking")
            .remedy("correct the plugin; nothing of it was registered"));
    }
    Err(refused(failure.message))
}

/// Reads what `load` offers, within what a host takes.
fn offered(body: &[u8]) -> Result<Batch, String> {
    let unclear = |e: &dyn std::fmt::Display| format!("its answer is not understood: {e}");
    let text = std::str::from_utf8(body).map_err(|e| unclear(&e))?;
    weight::weigh_if_heavy(text)?;
    let batch: Batch = serde_json::from_str(text).map_err(|e| unclear(&e))?;
    let counts = [("event types", batch.types.len()), ("actions", batch.actions.len()), ("standing events", batch.standing.len())];
    if let Some((what, count)) = counts.into_iter().find(|(_, count)| *count > OFFERS_MAX) {
        return Err(format!("it offers {count} {what}, at most {OFFERS_MAX} are taken"));
    }
    // What was left out, with its default, is longer than what came.
    let told = serde_json::to_string(&batch).map_err(|e| unclear(&e))?;
    if told.len() > BATCH_MAX {
        return Err(format!("it offers {} bytes, at most {BATCH_MAX} are taken", told.len()));
    }
    weight::weigh_if_heavy(&told)?;
    Ok(batch)
}

/// Reads the answer of an entry whose success says nothing. The caller drops the plugin's buffer, on a thread of the
/// generation.
pub(super) fn said(reply: &Reply) -> Result<(), EntryFailure> {
    if reply.ok {
        return Ok(());
    }
    let mut failure: EntryFailure = serde_json::from_slice(reply.body.as_slice()).unwrap_or_else(|e| unsaid(&e));
    failure.message = cut(&failure.message, SENTENCE_MAX);
    failure.kind = cut(&failure.kind, NAME_MAX);
    failure.place = failure.place.map(|place| cut(&place, NAME_MAX));
    Err(failure)
}

fn unsaid(why: &dyn std::fmt::Display) -> EntryFailure {
    EntryFailure { kind: "error".to_owned(), message: format!("the plugin's answer is not understood: {why}"), place: None }
}

/// Ends the job threads and hands over to the closer: this thread has run plugin code, so it must be joined too.
fn finish(shared: &Arc<Shared>, image: Option<Image>, unload: Option<EntryFailure>) {
    let handles = {
        let mut board = shared.board.lock();
        board.phase = Phase::Ended;
        board.root = None;
        std::mem::take(&mut board.handles)
    };
    shared.work.notify_all();
    if shared.ends_with_its_process() {
        // Nothing is joined and nothing closed: destructors and exit handlers of the plugin could hold up what the end of the process does anyway.
        std::mem::forget(image);
        shared.farewell(Farewell { memory: Memory::Unmapped, unload, death: None });
        return;
    }
    // A failed start drops the closure, and with it everything that it holds: the image's drop closes it, which must not be on this
    // thread. So the image stays outside until the thread is there.
    let parcel = Arc::new(parking_lot::Mutex::new(Some((image, handles, unload))));
    let for_closer = Arc::clone(&parcel);
    let started = shared.spawn(move |shared| {
        let Some((image, handles, unload)) = for_closer.lock().take() else { return };
        for handle in handles {
            // A thread of ours that panicked has ended all the same.
            let _ = handle.join();
        }
        host_table::leave(&shared);
        let memory = image.map_or(Memory::None, Image::close);
        shared.calls.close();
        shared.farewell(Farewell { memory, unload, death: None });
    });
    if let Err(error) = started {
        let Some((image, _, unload)) = parcel.lock().take() else { return };
        std::mem::forget(image);
        shared.farewell(Farewell {
            memory: Memory::Lingering { why: format!("no thread could be started to close it: {error}") },
            unload,
            death: None,
        });
    }
}
