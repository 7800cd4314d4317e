//! The words of the plugin's life in `host/ARCHITECTURE.md` against those that the host shows.
//!
//! Not its edges: those need processes, and are the outside tests'. (The edges of events and outcomes are held by the store's own test.) What
//! must hold: a state that an operator can see is in the diagram or in the sentence below it, and the diagram names none that nobody knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Steps of the diagram that are no state of a plugin: they pass within one, or are what a generation leaves.
const PASSING: [&str; 5] = ["inspected", "abandoned", "died", "started again", "retired"];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The variants of an enumeration, in lower case.
fn variants(path: &str, name: &str) -> BTreeSet<String> {
    let file = syn::parse_file(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let found = file.items.into_iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == name => Some(item.variants),
        _ => None,
    });
    let variants = found.unwrap_or_else(|| panic!("{path} has no enumeration {name}"));
    variants.into_iter().map(|variant| variant.ident.to_string().to_lowercase()).collect()
}

#[test]
fn the_life_of_a_plugin_is_told_in_the_words_that_the_host_shows() {
    let page = read("host/ARCHITECTURE.md");
    let (_, life) = page.split_once("The life of a generation:").expect("the page has the life of a generation");
    let (life, _) = life.split_once("\n## ").expect("another section follows");
    let drawn: String = life.lines().filter(|line| line.starts_with("    ")).map(|line| format!("{line}\n")).collect();
    let shown = variants("host/src/supervisor.rs", "PluginState");
    let missing: Vec<&String> = shown.iter().filter(|word| !life.contains(word.as_str())).collect();
    assert!(missing.is_empty(), "states that the host shows and the page does not tell: {missing:?}");
    // What stands between arrows and bars, without remarks and without what explains it.
    let parts = drawn.split(['\n', '|', '\\']).flat_map(|part| part.split("->"));
    let words = parts.map(|part| part.split(['(', ':', ')', ',']).next().unwrap_or_default().trim_matches(['-', ' ']).to_owned());
    let known =
        |word: &String| word.is_empty() || shown.contains(word) || PASSING.contains(&word.as_str()) || word.starts_with("lingering");
    let strange: Vec<String> = words.filter(|word| !known(word)).collect();
    assert!(strange.is_empty(), "words of the diagram that nobody knows: {strange:?}");
}
