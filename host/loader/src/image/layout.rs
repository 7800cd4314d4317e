//! The layout check of abi_stable, without its process-wide memory.
//!
//! Its usual path caches the first root for ever and keeps layouts that point into images closed long ago. What must hold: fresh
//! globals for each check, dropped before the answer; no text of an error borrows from the image.

use crate::rejection::Rejection;
use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals};
use abi_stable::library::{AbiHeaderRef, RootModuleError};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use sexton_plugin_api::abi::PluginRoot_Ref;

const LINES_MAX: usize = 12;
const TEXT_MAX: usize = 1200;
const VALUE_MAX: usize = 160;

/// Checks and constructs the root. On a thread of the generation, with the image open for as long as the root is used.
pub(super) fn root_of(entry: AbiHeaderRef) -> Result<PluginRoot_Ref, Rejection> {
    let header = entry.upgrade().map_err(|e| differs("the plugin was built with another `abi_stable`", &short(&e.to_string())))?;
    let found = header.layout().ok_or_else(|| differs("the plugin exports no layout of its table", ""))?;
    {
        let fresh = CheckingGlobals::new();
        check_layout_compatibility_with_globals(PluginRoot_Ref::LAYOUT, found, &fresh)
            .map_err(|e| differs("the plugin lays the boundary out otherwise than this host", &words(&e)))?;
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

fn differs(what: &str, found: &str) -> Rejection {
    let rejection = Rejection::new("PLG011", what)
        .expected("the layout of the `sexton-plugin-api` that this host was built with")
        .remedy("build the plugin against the `sexton-plugin-api` of this host");
    if found.is_empty() { rejection } else { rejection.found(found) }
}

/// Of the whole comparison, what differs and where: owned text, for the image is closed afterwards.
fn words(errors: &AbiInstabilityErrors) -> String {
    tracing::debug!(text = %errors, "layout check");
    let mut sentences: Vec<String> = Vec::new();
    for error in errors.errors.iter().take(LINES_MAX) {
        let path: Vec<&str> = error.stack_trace.iter().map(|level| name_of(&level.found)).collect();
        let origins = match error.stack_trace.last().map(|level| (level.expected, level.found)) {
            None => Some((origin(errors.interface), origin(errors.implementation))),
            Some((TLFieldOrFunction::Field(e), TLFieldOrFunction::Field(f))) => Some((origin(e.layout()), origin(f.layout()))),
            Some(_) => None,
        };
        for difference in differences(&error.to_string()) {
            let said = difference.sentence(&path.join("."), origins.as_ref());
            if !sentences.contains(&said) && sentences.len() < LINES_MAX {
                sentences.push(said);
            }
        }
    }
    let text = if sentences.is_empty() { short(&errors.to_string()) } else { sentences.join("; ") };
    text.chars().take(TEXT_MAX).collect()
}

fn name_of(level: &TLFieldOrFunction) -> &str {
    match level {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(_) => "fn",
    }
}

/// The package of a type, with its version.
fn origin(layout: &TypeLayout) -> String {
    let (package, version) = layout.item_info().package_and_version();
    format!("`{package}` {version}")
}

/// One difference, as the checker words it.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    what: String,
    expected: String,
    found: String,
}

impl Difference {
    /// In words of ours. `origins`: the packages of the type, the host's first.
    fn sentence(&self, path: &str, origins: Option<&(String, String)>) -> String {
        let Self { what, expected, found } = self;
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        match origins {
            // Two builds of a type may differ in its package or in the package's version: each is named with both.
            Some((host, plugin)) if what.contains("package") && host != plugin => {
                format!("{place}the plugin has it from {plugin}, the host from {host}")
            }
            _ => format!("{place}{what}: the plugin has `{found}`, the host `{expected}`"),
        }
    }
}

/// Reads `Error:…`, `Expected:` and `Found:`, whose values stand indented on the lines below.
fn differences(text: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(what) = line.strip_prefix("Error:") else { continue };
        let mut value = |heading: &str| {
            if lines.next_if(|l| l.trim_end() == heading).is_none() {
                return String::new();
            }
            let mut parts: Vec<&str> = Vec::new();
            while let Some(part) = lines.next_if(|l| l.starts_with("    ")) {
                parts.push(part.trim());
            }
            parts.retain(|p| !p.is_empty());
            parts.join(", ").chars().take(VALUE_MAX).collect()
        };
        let (expected, found) = (value("Expected:"), value("Found:"));
        differences.push(Difference { what: what.trim().to_owned(), expected, found });
    }
    differences
}

/// The first lines of a text that is not of that form.
fn short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(4).collect();
    lines.join("; ").chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_in_words() {
        let noise = "noise\n".repeat(1000);
        let text = format!(
            "{noise}\nError:mismatched type\nExpected:\n    u32\nFound:\n    RVec<u8>\n\nError:too many fields\nExpected:\n    2\nFound:\n    3\n"
        );
        let found: Vec<String> = differences(&text).iter().map(|d| d.sentence("root.load", None)).collect();
        assert_eq!(
            found,
            [
                "`root.load`: mismatched type: the plugin has `RVec<u8>`, the host `u32`",
                "`root.load`: too many fields: the plugin has `3`, the host `2`"
            ]
        );
    }

    #[test]
    fn a_version_mismatch_names_both_versions() {
        let text = "\nError:incompatible package versions\nExpected:\n    0.2.0\nFound:\n    0.1.0\n";
        let (host, plugin) = ("`sexton-plugin-api` 0.2.0".to_owned(), "`sexton-plugin-api` 0.1.0".to_owned());
        let said = differences(text)[0].sentence("", Some(&(host, plugin)));
        assert_eq!(said, "the plugin has it from `sexton-plugin-api` 0.1.0, the host from `sexton-plugin-api` 0.2.0");
    }

    #[test]
    fn other_texts_are_cut_short() {
        assert_eq!(short("one\n\n two\n3\n4\n5"), "one; two; 3; 4");
        assert!(short(&"x".repeat(5000)).len() <= TEXT_MAX && differences("one\ntwo").is_empty());
    }

    #[test]
    fn another_table_is_told_apart_by_name() {
        let fresh = CheckingGlobals::new();
        let errors = check_layout_compatibility_with_globals(PluginRoot_Ref::LAYOUT, <abi_stable::std_types::RVec<u8>>::LAYOUT, &fresh)
            .expect_err("no table");
        let said = words(&errors);
        assert_eq!(said, "mismatched type: the plugin has `RVec`, the host `PrefixRef<'a, PluginRoot>`");
    }
}
