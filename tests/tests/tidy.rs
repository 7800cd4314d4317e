//! The rules of the house that no compiler checks: imports between crates, sizes, words, documented codes, the top level.
//!
//! Not style that rustfmt and clippy hold. What must hold: each test names every offender at once, with file and line, and says what to do.

use proc_macro2::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_CAP: usize = 450;
const FUNCTION_CAP: usize = 70;
const BANNED: [&str; 9] = ["manager", "util", "utils", "helper", "helpers", "common", "misc", "data", "info"];
/// Names of the original product, kept verbatim.
const ORIGINAL: [&str; 1] = ["ScheduledEventManager"];
/// First letters of error codes.
const CODES: [&str; 6] = ["INP", "PLG", "STO", "HST", "CFG", "API"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository")
}

/// All files of the repository that end with one of these, but for build output.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the repository can be read").map(|e| e.expect("an entry can be read")) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let kind = entry.file_type().expect("an entry has a type");
            if kind.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("files lie in the repository").display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Rust file, parsed. Programs that are meant not to compile (`tests/ui`) still parse.
fn sources() -> Vec<(String, String, syn::File)> {
    let parse = |path: PathBuf| {
        let text = read(&path);
        let tree = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}:{}: {e}", path.display(), e.span().start().line));
        (relative(&path), text, tree)
    };
    files(&[".rs"]).into_iter().map(parse).collect()
}

fn report(offenders: &[String], remedy: &str) {
    assert!(offenders.is_empty(), "{} offenders: {remedy}\n{}", offenders.len(), offenders.join("\n"));
}

#[test]
fn the_top_level_is_the_houses() {
    let allowed = ["Cargo.toml", "Cargo.lock", "host", "plugin-api", "plugins", "tests", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];
    let names = fs::read_dir(root()).expect("the repository can be read").map(|e| e.expect("an entry can be read").file_name());
    let names: BTreeSet<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let extra = names.iter().filter(|name| !name.starts_with('.') && *name != "target" && !allowed.contains(&name.as_str()));
    let offenders: Vec<String> = extra.map(|name| format!("{name}: not part of the top level")).collect();
    report(&offenders, "a new thing at the top belongs into host, plugin-api, plugins or tests");
}

#[test]
fn crates_import_only_what_they_may() {
    let api: &[&str] = &["sexton-plugin-api"];
    let allowed = |package: &str| -> &[&str] {
        match package {
            "sexton-plugin-api" => &["sexton-plugin-api-macros"],
            "sexton-plugin-api-macros" | "sexton-core" => &[],
            "sexton-store" => &["sexton-core"],
            "sexton" => &["sexton-core", "sexton-store", "sexton-loader", "sexton-plugin-api"],
            // Its targets feed decoders that nobody else can reach from outside.
            "sexton-fuzz" => &["sexton-loader"],
            _ => api,
        }
    };
    // What a crate's one sentence rules out, besides our own crates.
    let foreign = |package: &str| -> &[&str] {
        match package {
            "sexton-plugin-api" => &["tokio", "rusqlite", "hyper", "axum", "ureq", "jiff"],
            "sexton-core" => &["tokio", "rusqlite", "hyper", "axum", "rustix", "libc", "libloading", "tracing", "parking_lot", "tempfile"],
            "sexton-store" => &["tokio", "hyper", "axum", "libloading", "abi_stable", "jiff"],
            "sexton-loader" => &["tokio", "rusqlite", "hyper", "axum", "jiff"],
            "sexton" => &["rusqlite", "libloading", "abi_stable", "jiff", "libc"],
            _ => &["tokio", "rusqlite", "hyper", "axum", "libloading"],
        }
    };
    let mut offenders = Vec::new();
    for path in files(&["Cargo.toml"]) {
        let manifest: toml::Table = read(&path).parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let Some(package) = manifest.get("package").and_then(|p| p["name"].as_str()) else { continue };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            for name in names {
                let ours = name == "sexton" || name.starts_with("sexton-");
                if ours && !allowed(package).contains(&name.as_str()) {
                    offenders.push(format!("{}: {package} may not import {name}", relative(&path)));
                }
                if section == "dependencies" && foreign(package).contains(&name.as_str()) {
                    offenders.push(format!("{}: {name} is not for {package}", relative(&path)));
                }
            }
        }
    }
    report(&offenders, "see the import matrix in host/ARCHITECTURE.md");
}

#[test]
fn every_file_says_what_it_is() {
    let mut offenders = Vec::new();
    for (path, text, _) in sources() {
        if !text.starts_with("//!") {
            offenders.push(format!("{path}:1: does not open with `//!`"));
        }
    }
    report(&offenders, "open the file with two to four lines: what it is for, what it is not, what must hold");
}

/// Walks one file and gathers what the rules ask of functions, names and unsafe code.
struct Walk<'a> {
    path: &'a str,
    in_trait_impl: bool,
    test_lines: usize,
    long: Vec<String>,
    names: Vec<String>,
    unsafe_places: Vec<String>,
    ignored: Vec<String>,
}

impl<'a> Walk<'a> {
    fn over(path: &'a str, tree: &syn::File) -> Self {
        let mut walk = Walk {
            path,
            in_trait_impl: false,
            test_lines: 0,
            long: Vec::new(),
            names: Vec::new(),
            unsafe_places: Vec::new(),
            ignored: Vec::new(),
        };
        walk.visit_file(tree);
        walk
    }

    fn place(&self, span: Span) -> String {
        format!("{}:{}", self.path, span.start().line)
    }

    fn name(&mut self, ident: &syn::Ident) {
        let text = ident.to_string();
        if let Some(word) = banned_word(&text) {
            self.names.push(format!("{}: `{text}` contains `{word}`", self.place(ident.span())));
        }
    }

    fn function(&mut self, signature: &syn::Signature, attributes: &[syn::Attribute], whole: Span) {
        // The names of a trait's methods are chosen where the trait is; those of tests are sentences.
        if !self.in_trait_impl && !attributes.iter().any(|a| a.path().is_ident("test")) {
            self.name(&signature.ident);
        }
        let start = signature.span().start().line;
        let lines = whole.end().line + 1 - start;
        if lines > FUNCTION_CAP {
            self.long.push(format!("{}:{start}: `{}` has {lines} lines", self.path, signature.ident));
        }
        if matches!(signature.safety, syn::Safety::Unsafe(_)) {
            self.unsafe_places.push(self.place(signature.span()));
        }
        for attribute in attributes.iter().filter(|a| a.path().is_ident("ignore")) {
            self.ignored.push(format!("{}: #[ignore]", self.place(attribute.span())));
        }
    }
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    let cfg_test = |a: &syn::Attribute| a.path().is_ident("cfg") && a.parse_args::<syn::Ident>().is_ok_and(|word| word == "test");
    attributes.iter().any(cfg_test)
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.attrs, item.span());
        visit::visit_item_fn(self, item);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.attrs, item.span());
        visit::visit_impl_item_fn(self, item);
    }
    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, &item.attrs, item.span());
        visit::visit_trait_item_fn(self, item);
    }
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.unsafe_places.push(self.place(item.span()));
        }
        let outer = std::mem::replace(&mut self.in_trait_impl, item.trait_.is_some());
        visit::visit_item_impl(self, item);
        self.in_trait_impl = outer;
    }
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.name(&item.ident);
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.name(&item.ident);
    }
    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.name(&item.ident);
        visit::visit_item_trait(self, item);
    }
    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.name(&item.ident);
    }
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.name(&item.ident);
        if is_test_only(&item.attrs) && item.content.is_some() {
            self.test_lines += item.span().end().line + 1 - item.span().start().line;
        }
        visit::visit_item_mod(self, item);
    }
    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.unsafe_places.push(self.place(item.span()));
        visit::visit_expr_unsafe(self, item);
    }
}

/// The first banned word in a name of either case, if there is one.
fn banned_word(name: &str) -> Option<&'static str> {
    if ORIGINAL.contains(&name) {
        return None;
    }
    if name.starts_with("do_") {
        return Some("do_");
    }
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    BANNED.into_iter().find(|banned| snake.split(['_', '-']).any(|word| word == *banned))
}

#[test]
fn files_and_functions_are_small() {
    let mut offenders = Vec::new();
    for (path, text, tree) in sources() {
        let walk = Walk::over(&path, &tree);
        let lines = text.lines().count() - walk.test_lines;
        // A file that holds nothing but tests is its crate's tests.
        let only_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
        if lines > FILE_CAP && !only_tests {
            offenders.push(format!("{path}: {lines} lines without its tests"));
        }
        offenders.extend(walk.long);
    }
    report(&offenders, &format!("at most {FILE_CAP} lines a file (its tests apart), {FUNCTION_CAP} a function: split by what it does"));
}

#[test]
fn names_say_something() {
    let mut offenders = Vec::new();
    for (path, _, tree) in sources() {
        let stem = Path::new(&path).file_stem().and_then(|stem| stem.to_str()).expect("names are text");
        if let Some(word) = banned_word(stem) {
            offenders.push(format!("{path}: the file's name contains `{word}`"));
        }
        offenders.extend(Walk::over(&path, &tree).names);
    }
    report(&offenders, "say what it is instead; these words say nothing");
}

#[test]
fn unsafe_code_is_where_it_belongs() {
    let mut offenders = Vec::new();
    for (path, _, tree) in sources() {
        // Fixtures that crash on purpose cannot do so in safe code.
        let hostile = path.starts_with("tests/fixtures/fx_hostile");
        if !path.starts_with("plugin-api/") && !path.starts_with("host/loader/") && !hostile {
            offenders.extend(Walk::over(&path, &tree).unsafe_places);
        }
    }
    report(&offenders, "unsafe code lives in plugin-api, host/loader and the hostile fixtures only");
}

#[test]
fn core_reads_no_clock_and_touches_nothing() {
    let banned = [
        "Utc::now",
        "Local::now",
        "SystemTime",
        "Instant::now",
        "Zoned::now",
        "Timestamp::now",
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "println!",
    ];
    let mut offenders = Vec::new();
    for (path, text, tree) in sources().into_iter().filter(|(path, ..)| path.starts_with("host/core/src/")) {
        let code = text.lines().count() - Walk::over(&path, &tree).test_lines;
        for (number, line) in text.lines().take(code).enumerate() {
            // The newer of two zone databases must be found before the first question: the one reading that core does itself.
            let is_zone_data = |word: &str| word == "std::fs" && path == "host/core/src/schedule/zone.rs";
            for word in banned.iter().filter(|word| line.contains(*word) && !line.trim_start().starts_with("//") && !is_zone_data(word)) {
                offenders.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    report(&offenders, "in sexton-core time is an argument and nothing is read or written");
}

#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file is not its own offender.
    let marks = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut offenders = Vec::new();
    for (path, text, tree) in sources() {
        offenders.extend(Walk::over(&path, &tree).ignored);
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            offenders.extend(marks.iter().filter(|mark| line.contains(*mark)).map(|mark| format!("{place}: {mark}…)")));
            let waits = path.starts_with("tests/tests/") && line.contains("sleep(") && !path.ends_with("tidy.rs");
            offenders.extend(waits.then(|| format!("{place}: a test that sleeps")));
        }
    }
    report(&offenders, "finish it; a test waits `until` something, and is not switched off");
}

#[test]
fn no_paths_of_one_machine() {
    let marks = ["work/", "root/.", "tmp/bash"].map(|rest| format!("/{rest}"));
    let mut offenders = Vec::new();
    for path in files(&[".rs", ".toml", ".md", ".lock", "run", "soak"]) {
        for (number, line) in read(&path).lines().enumerate() {
            let found = marks.iter().filter(|mark| line.contains(*mark) && !line.contains("://"));
            offenders.extend(found.map(|mark| format!("{}:{}: {mark}", relative(&path), number + 1)));
        }
    }
    report(&offenders, "a clone is anywhere");
}

/// Codes in string literals of the code that is shipped, with their first place.
fn raised_codes() -> BTreeMap<String, String> {
    let mut raised = BTreeMap::new();
    for (path, text, _) in sources() {
        let shipped = ["host/", "plugin-api/", "plugins/"].iter().any(|start| path.starts_with(start)) && !path.contains("/tests/");
        for (number, line) in text.lines().enumerate().filter(|_| shipped) {
            for (at, _) in line.match_indices('"') {
                let code: String = line[at + 1..].chars().take(6).collect();
                let digits = code.chars().skip(3).filter(char::is_ascii_digit).count();
                if CODES.iter().any(|start| code.starts_with(start)) && digits == 3 {
                    raised.entry(code).or_insert_with(|| format!("{path}:{}", number + 1));
                }
            }
        }
    }
    raised
}

#[test]
fn every_error_code_has_a_page() {
    let folder = root().join("host/docs/errors");
    let pages = fs::read_dir(&folder).into_iter().flatten().map(|e| e.expect("an entry can be read").path());
    let pages: BTreeSet<String> = pages.filter_map(|page| Some(page.file_stem()?.to_str()?.to_owned())).collect();
    let raised = raised_codes();
    let missing = raised.iter().filter(|(code, _)| !pages.contains(*code));
    let mut offenders: Vec<String> =
        missing.map(|(code, place)| format!("{place}: {code} has no page host/docs/errors/{code}.md")).collect();
    let is_code = |page: &&String| CODES.iter().any(|start| page.starts_with(start));
    let stale = pages.iter().filter(is_code).filter(|page| !raised.contains_key(*page));
    offenders.extend(stale.map(|page| format!("host/docs/errors/{page}.md: nothing raises {page}")));
    report(&offenders, "one page a code: cause, example, what to do");
}
