//! The layout check of abi_stable, without its process-wide memory.
//!
//! Its usual path caches the first root for ever and keeps layouts that point into images closed long ago. What must hold: fresh
//! globals for each check, dropped before the answer; no text of an error borrows from the image.

use crate::rejection::Rejection;
use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals};
use abi_stable::library::{AbiHeaderRef, RootModuleError};
use sexton_plugin_api::abi::PluginRoot_Ref;

const LINES_MAX: usize = 12;
const TEXT_MAX: usize = 1200;

/// Checks and constructs the root. On a thread of the generation, with the image open for as long as the root is used.
pub(super) fn root_of(entry: AbiHeaderRef) -> Result<PluginRoot_Ref, Rejection> {
    let header = entry.upgrade().map_err(|e| differs("the plugin was built with another `abi_stable`", &e.to_string()))?;
    let found = header.layout().ok_or_else(|| differs("the plugin exports no layout of its table", ""))?;
    {
        let fresh = CheckingGlobals::new();
        check_layout_compatibility_with_globals(PluginRoot_Ref::LAYOUT, found, &fresh)
            .map_err(|e| differs("the plugin lays the boundary out otherwise than this host", &e.to_string()))?;
    }
    // SAFETY: the layout was checked just above.
    unsafe { header.unchecked_layout::<PluginRoot_Ref>() }.map_err(|e| {
        let why = match e {
            RootModuleError::Unwound => "it panicked".to_owned(),
            RootModuleError::Returned(error) => error.to_string(),
        };
        Rejection::new("PLG011", format!("the plugin's table could not be made: {why}"))
    })
}

fn differs(what: &str, text: &str) -> Rejection {
    tracing::debug!(text, "layout check");
    let found = errors_of(text);
    let rejection = Rejection::new("PLG011", what)
        .expected("the layout of the `sexton-plugin-api` that this host was built with")
        .remedy("build the plugin against the `sexton-plugin-api` of this host");
    if found.is_empty() { rejection } else { rejection.found(found) }
}

/// Of more than a thousand lines, those that say what differs.
fn errors_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut kept: Vec<&str> = Vec::new();
    for (i, _) in lines.iter().enumerate().filter(|(_, l)| l.starts_with("Error:")) {
        for line in lines.iter().skip(i).take(5).filter(|l| l.starts_with("Error:") || l.starts_with("Expected") || l.starts_with("Found"))
        {
            if kept.len() < LINES_MAX && !kept.ends_with(&[line]) {
                kept.push(line);
            }
        }
    }
    if kept.is_empty() {
        kept.extend(lines.iter().take(4));
    }
    kept.join("; ").chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_matter_are_kept() {
        let text = format!("{}\nError:mismatched type\n  Expected:\n    u32\nExpected: u32\nFound: u64\n", "noise\n".repeat(1000));
        assert_eq!(errors_of(&text), "Error:mismatched type; Expected:; Expected: u32; Found: u64");
        assert_eq!(errors_of("one\ntwo"), "one; two");
        assert!(errors_of(&"Error:x\n".repeat(5000)).len() <= TEXT_MAX);
    }
}
