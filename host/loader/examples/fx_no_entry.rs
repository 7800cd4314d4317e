//! A shared library that is no plugin: it exports something else.
//!
//! What must hold: it opens well, so that only the missing entry can be the reason to refuse it.

/// Not the entry.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_fixture_without_entry() -> u32 {
    7
}
