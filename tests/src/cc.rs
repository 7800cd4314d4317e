//! C libraries compiled at test time: what a Rust build cannot be made to be (a search path of its own, text relocations, constructors of all sorts).
//!
//! Not a build system: one text, one `cc`, one file. What must hold: apart from what its text and flags say, such a library has all that can be looked
//! at without opening it: the entry symbol and an identity.

use crate::build::Build;
use std::fs;
use std::process::Command;

/// A shared library from C text. With `name` it has a plugin's identity and entry symbol: good to look at, nothing to load.
#[must_use]
pub fn c_library(name: Option<&str>, text: &str, flags: &[&str]) -> Build {
    let folder = tempfile::Builder::new().prefix("sexton-cc-").tempdir().expect("there is room for temporary files");
    let (source, library) = (folder.path().join("library.c"), folder.path().join("library.so"));
    let identity = name.map_or_else(String::new, identity);
    fs::write(&source, format!("{identity}{text}")).expect("the folder is ours");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wall"]).args(flags).arg("-o").arg(&library).arg(&source);
    let output = command.output().expect("`cc` is there: Rust links with it");
    assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    Build::read(&library)
}

/// A symbol of the entry's name that leads to nothing sensible, and the section that inspection reads.
fn identity(name: &str) -> String {
    let json = format!(
        r#"{{\"plugin\":\"{name}\",\"version\":\"0.1.0\",\"api_major\":1,\"api_minor\":0,\"rustc\":\"rustc 1.95.0\",\"panic\":\"unwind\"}}"#
    );
    format!(
        "const char _1as_0lib_1header_0root_bmodule_bloader[4096] = {{1}};\n\
         __attribute__((section(\".sexton.identity\"), used)) static const char identity[{}] = \"{json}\";\n",
        json.replace('\\', "").len()
    )
}
