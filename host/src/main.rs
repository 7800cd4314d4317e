//! The binary: parse, run, exit code.
//!
//! Not more. What must hold: everything else is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton::cli::main()
}
