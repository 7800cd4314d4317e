//! Opens a library as a host does: own dlopen, header, fresh layout check, root module. And reads its sections without opening it.
//!
//! Not the loader (no copy, no owner rule, no closing). What must hold: tests that load an image of this process take turns.

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals};
use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use sexton_plugin_api::abi::PluginRoot_Ref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// An open library. Its root is used while this lives.
pub struct Image {
    pub root: PluginRoot_Ref,
    _library: Library,
    _turn: MutexGuard<'static, ()>,
}

pub fn open(path: &Path) -> Image {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the initialisers of a plugin of this crate are those of std.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
    // SAFETY: the symbol is the static that `#[plugin]` exports; it lives as long as the library.
    let header = unsafe { *library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()).expect("the header is exported") };
    let header = header.upgrade().expect("the header is abi_stable's");
    {
        let fresh = CheckingGlobals::new();
        let found = header.layout().expect("the layout is exported");
        if let Err(error) = check_layout_compatibility_with_globals(<PluginRoot_Ref as StableAbi>::LAYOUT, found, &fresh) {
            panic!("{error}");
        }
    }
    // SAFETY: the layout was checked just above.
    let root = unsafe { header.unchecked_layout::<PluginRoot_Ref>() }.expect("the constructor succeeds");
    Image { root, _library: library, _turn: turn }
}

/// The bytes of a section, by the ELF header and nothing else. None: there is no such section.
pub fn section(file: &Path, name: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).expect("the library can be read");
    let number = |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0_usize, |n, b| n << 8 | usize::from(*b));
    let (table, size, count, names) = (number(0x28, 8), number(0x3A, 2), number(0x3C, 2), number(0x3E, 2));
    let header = |i: usize| (number(table + i * size, 4), number(table + i * size + 0x18, 8), number(table + i * size + 0x20, 8));
    let (_, text, _) = header(names);
    let mut headers = (0..count).map(header);
    let found = headers.find(|(at, ..)| bytes[text + at..].starts_with(format!("{name}\0").as_bytes()));
    found.map(|(_, start, length)| bytes[start..start + length].to_vec())
}

/// The event type ids that the file advertises, sorted.
pub fn advertised(file: &Path) -> Vec<String> {
    let section = section(file, ".sexton.types").unwrap_or_default();
    let ids = section.split(|b| *b == 0).filter(|id| !id.is_empty());
    let mut ids: Vec<_> = ids.map(|id| String::from_utf8_lossy(id).into_owned()).collect();
    ids.sort();
    ids
}
