//! The page on plugin hazards is held to what is there: every hazard has its row, every test that a row names exists, every weak answer is owned up to.
//!
//! Not the hazards themselves: the named tests are. What must hold: a renamed or removed test, a lost row and an answer of no known kind are named.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

const PAGE: &str = "host/docs/plugin-hazards.md";
const HAZARDS: usize = 59;
const ANSWERS: [&str; 3] = ["impossible", "answered", "not promised"];
/// A macro of ours that makes a test of each name in it, one for each placement.
const IN_BOTH_PLACEMENTS: &str = "in_both_placements";
/// What the page says is never used, put together here so that this file is not its own offender.
const NEVER_USED: [[&str; 2]; 4] = [["dlmo", "pen"], ["RTLD_DEEP", "BIND"], ["RTLD_LA", "ZY"], ["memfd_cre", "ate"]];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository")
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).unwrap_or_else(|e| panic!("{PAGE}: {e}"))
}

/// The repository's Rust files, but for build output.
fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the repository can be read").map(|e| e.expect("an entry can be read")) {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn report(offenders: &[String], remedy: &str) {
    assert!(offenders.is_empty(), "{} offenders: {remedy}\n{}", offenders.len(), offenders.join("\n"));
}

/// One row of the table.
struct Row {
    hazard: String,
    answer: String,
    test: String,
}

/// All rows, in the order of the page.
fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| H")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [hazard, _what, _runner, _in_process, answer, test] = cells[..] else { panic!("{PAGE}: not six cells: {line}") };
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{PAGE}: an empty cell: {line}");
        rows.push(Row { hazard: hazard.to_owned(), answer: answer.to_owned(), test: test.trim_end_matches(" |").to_owned() });
    }
    rows
}

/// Names of the functions that a test runner runs.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.attrs.iter().any(|attribute| attribute.path().is_ident("test")) {
            self.0.insert(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if item.path.is_ident(IN_BOTH_PLACEMENTS) {
            self.0.extend(names(item.tokens.clone()));
        }
    }
}

fn names(tokens: TokenStream) -> impl Iterator<Item = String> {
    tokens.into_iter().filter_map(|token| if let TokenTree::Ident(name) = token { Some(name.to_string()) } else { None })
}

fn tests_of(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let tree = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut tests = Tests::default();
    tests.visit_file(&tree);
    tests.0
}

/// Why a cell that names tests is wrong, if it is.
fn fault_in(cell: &str, sources: &[PathBuf]) -> Option<String> {
    if let Some(why) = cell.strip_prefix("no test: ") {
        return (why.len() < 10).then(|| "it does not say why there is no test".to_owned());
    }
    for named in cell.split(", ") {
        let Some((file, test)) = named.strip_prefix('`').and_then(|n| n.strip_suffix('`')).and_then(|n| n.split_once(": ")) else {
            return Some(format!("not `file: name`: {named}"));
        };
        let end = Path::new(file);
        let files: Vec<&PathBuf> = sources.iter().filter(|path| path.ends_with(end)).collect();
        let [path] = files[..] else { return Some(format!("{} files end in `{file}`", files.len())) };
        if !tests_of(path).contains(test) {
            return Some(format!("`{file}` has no test `{test}`"));
        }
    }
    None
}

#[test]
fn every_hazard_has_one_row() {
    let found: Vec<String> = rows(&page()).into_iter().map(|row| row.hazard).collect();
    let expected: Vec<String> = (1..=HAZARDS).map(|number| format!("H{number}")).collect();
    assert_eq!(found, expected, "{PAGE}: a row each, in order");
}

#[test]
fn every_named_test_exists() {
    let sources = sources();
    let faults = rows(&page()).into_iter().filter_map(|row| Some(format!("{}: {}", row.hazard, fault_in(&row.test, &sources)?)));
    report(&faults.collect::<Vec<_>>(), "name the test that shows the answer, as `file: name`; if one was renamed, so is its row");
    // The reading itself is held to something: a name that is none is found out.
    assert!(fault_in("`hazards.rs: every_named_test_exists_not`", &sources).is_some());
    assert!(fault_in("`life/runs.rs: after_drain_runs_go_back_and_the_running_end`", &sources).is_none(), "tests made by the macro count");
    assert!(fault_in("`life/runs.rs: asked`", &sources).is_some(), "a function that is no test does not");
}

#[test]
fn every_weak_answer_is_owned_up_to() {
    let page = page();
    let left = page.split_once("## What is left").expect("the page ends with what is left").1;
    let owned: BTreeSet<&str> = left.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with('H')).collect();
    let mut offenders = Vec::new();
    for Row { hazard, answer, .. } in rows(&page) {
        let parts: Vec<&str> = answer.split(" / ").collect();
        if parts.len() > 2 || parts.iter().any(|part| !ANSWERS.contains(part)) {
            offenders.push(format!("{hazard}: `{answer}` is no answer"));
        }
        if parts.contains(&"not promised") && !owned.contains(hazard.as_str()) {
            offenders.push(format!("{hazard}: not promised, and not among what is left"));
        }
    }
    report(&offenders, "say what users can do where nothing is promised");
}

#[test]
fn what_is_never_used_is_not_in_the_source() {
    let mut offenders = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let found = NEVER_USED.iter().map(|parts| parts.concat()).filter(|word| line.contains(word));
            offenders.extend(found.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    report(&offenders, "libraries are opened at once, locally, by the path of a private copy");
}
