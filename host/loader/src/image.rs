//! One opened plugin library: opened, verified, asked for its table, closed, looked after.
//!
//! It runs plugin code (constructors, the root's constructor, destructors) but decides no order: `generation` does. What must hold: what is
//! mapped is the private copy; nothing made by the plugin is kept past [`Image::close`]; an image that something still uses is not closed.

mod layout;
mod residue;

use crate::maps::{self, Origin};
use crate::pthread_keys;
use crate::rejection::Rejection;
use crate::seam::Memory;
use crate::shown::shown;
use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use sexton_plugin_api::abi::PluginRoot_Ref;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Images that may stay open for ever when the wrappers are not in force: each costs a pthread key of 1,024.
const UNWATCHED_MAX: usize = 900;
static UNWATCHED: AtomicUsize = AtomicUsize::new(0);

/// An open library.
pub(crate) struct Image {
    library: Library,
    /// Where it was mapped.
    base: usize,
    /// What the table of mappings calls the private copy.
    origin: Origin,
}

/// The load address of the image that holds `address`.
pub(crate) fn base_of(address: usize) -> Option<usize> {
    let mut found = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: `dladdr` only compares the address and writes to the struct.
    let known = unsafe { libc::dladdr(std::ptr::with_exposed_provenance(address), &raw mut found) };
    (known != 0).then_some(found.dli_fbase as usize)
}

/// Whether a plugin's keys and threads would be seen.
fn is_watched() -> bool {
    pthread_keys::keys_are_watched() && crate::plugin_threads::threads_are_watched()
}

impl Image {
    /// Opens the private copy. Runs its constructors: on a thread of the generation.
    pub(crate) fn open(path: &Path) -> Result<Self, Rejection> {
        if !is_watched() && UNWATCHED.fetch_add(1, Ordering::Relaxed) >= UNWATCHED_MAX {
            return Err(Rejection::new(
                "PLG020",
                format!("{UNWATCHED_MAX} libraries have been opened in a process that cannot close them safely"),
            )
            .expected("a host whose `pthread_key_create`, `pthread_key_delete` and `pthread_create` plugins are bound to")
            .remedy("restart the host; if this comes back, the executable was linked without its exported symbols"));
        }
        let origin = origin_of_copy(path).map_err(|e| not_opened(path, &e.to_string()))?;
        // SAFETY: `inspect` has passed these very bytes; what its constructors do is the plugin's word, as for every native plugin.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|e| not_opened(path, &with_causes(&e)))?;
        // SAFETY: only the address is used.
        let entry = unsafe { library.get::<*const u8>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
        let entry = entry.map_err(|e| Rejection::new("PLG006", format!("the library does not export the entry: {}", with_causes(&e))))?;
        let address = entry.into_raw() as usize;
        let base = base_of(address).unwrap_or_default();
        let mapped = maps::origin_of(base).map_err(|e| not_opened(path, &e.to_string()))?;
        if mapped.as_ref() != Some(&origin) {
            return Err(Rejection::new("PLG012", "the dynamic linker mapped another file than the private copy")
                .expected(format!("{origin:?}"))
                .found(mapped.map_or_else(|| "no file".to_owned(), |o| format!("{o:?}")))
                .remedy("unload the plugin everywhere and load it again; if this comes back, restart the host"));
        }
        Ok(Self { library, base, origin })
    }

    /// The plugin's table, after the layout check. Runs the root's constructor: on a thread of the generation.
    pub(crate) fn root(&self) -> Result<PluginRoot_Ref, Rejection> {
        // SAFETY: abi_stable's name for a static of type `LibHeader`, whose first field is the header that tells whether it is one.
        let entry = unsafe { self.library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
        let entry = entry.map_err(|e| Rejection::new("PLG006", format!("the library does not export the entry: {}", with_causes(&e))))?;
        layout::root_of(*entry)
    }

    /// Closes and looks. The caller has joined every thread of the generation and holds nothing of the plugin.
    pub(crate) fn close(self) -> Memory {
        if let Some(why) = self.why_not_close() {
            // Leaked on purpose: code of it is still reachable.
            std::mem::forget(self.library);
            return Memory::Lingering { why };
        }
        let purged = pthread_keys::purge(self.base);
        tracing::debug!(purged, "pthread keys of a plugin deleted");
        if let Err(error) = self.library.close() {
            return Memory::Lingering { why: format!("the dynamic linker would not close it: {}", with_causes(&error)) };
        }
        match maps::count_of(&self.origin) {
            Ok(0) => Memory::Unmapped,
            Ok(n) => Memory::Lingering {
                why: format!(
                    "closed, but {n} mappings of it are left: it asked never to be unmapped (GNU_UNIQUE, NODELETE), or a thread of the host holds a thread-local value of it"
                ),
            },
            Err(error) => Memory::Lingering { why: format!("closed, but whether it is unmapped cannot be seen: {error}") },
        }
    }

    fn why_not_close(&self) -> Option<String> {
        if !is_watched() {
            return Some("this process cannot see which pthread keys and threads are the plugin's, so the image stays open".to_owned());
        }
        let threads = crate::plugin_threads::left_by(self.base);
        if !threads.is_empty() {
            return Some(format!(
                "left running by the plugin: {} {}",
                if threads.len() == 1 { "thread" } else { "threads" },
                threads.join(", ")
            ));
        }
        let signals = residue::signals_handled_by(self.base);
        (!signals.is_empty()).then(|| format!("the plugin still handles signal {}", signals.join(", ")))
    }
}

/// What the table of mappings calls a file: asked by mapping its first page.
fn origin_of_copy(path: &Path) -> std::io::Result<Origin> {
    let file = File::open(path)?;
    // SAFETY: the private copy, which nobody writes to; only its address is used.
    let page = unsafe { memmap2::MmapOptions::new().len(1).map(&file) }?;
    maps::origin_of(page.as_ptr() as usize)?.ok_or_else(|| std::io::Error::other("the private copy is not seen among the mappings"))
}

fn not_opened(path: &Path, why: &str) -> Rejection {
    Rejection::new("PLG010", format!("the library cannot be opened: {why}"))
        .expected("a library that the dynamic linker takes")
        .found(format!("{why} (copy: {})", shown(path)))
        .remedy(if why.contains("failed to map segment") {
            "the state directory must not be on a file system mounted `noexec`"
        } else {
            "look for the missing symbol or library with `ldd -r` on the plugin file"
        })
}

/// libloading says only "dlopen failed"; the file and the reason are in the sources.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
