//! Hands the compiler's version to the crate, for the identity section of plugins.
//!
//! Not a code generator. What must hold: it never fails a build; what cannot be asked is written down as `unknown`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(compiler).arg("--version").output().ok().and_then(|o| String::from_utf8(o.stdout).ok());
    let version = answer.as_deref().map(str::trim).filter(|text| !text.is_empty()).unwrap_or("unknown");
    // It ends up inside JSON text that is put together at compile time, without an escaping step.
    let plain: String = version.chars().filter(|c| c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\')).collect();
    println!("cargo::rustc-env=SEXTON_RUSTC={plain}");
}
