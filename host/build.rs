//! Lists the pages of `docs/errors` into a table, so that `sexton explain` knows every page that stands there.
//!
//! Not a generator of text. What must hold: the table is sorted by code, and a new page needs no edit anywhere else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the crate is"));
    let pages = root.join("docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut codes: Vec<String> = std::fs::read_dir(&pages)
        .expect("docs/errors is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".md").map(str::to_owned))
        .filter(|stem| stem.len() == 6 && stem.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
        .collect();
    codes.sort();
    let mut table = String::from("pub(super) static PAGES: &[(&str, &str)] = &[\n");
    for code in &codes {
        let page = pages.join(format!("{code}.md"));
        writeln!(table, "    ({code:?}, include_str!({:?})),", page.display().to_string()).expect("writes to a string");
    }
    table.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo says where to write"));
    std::fs::write(Path::new(&out).join("pages.rs"), table).expect("the build directory can be written");
}
