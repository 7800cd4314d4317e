//! The binary: parse, run, exit code.
//!
//! Not more. What must hold: everything else is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a runner is forked while it has one thread.
    if std::env::args_os().nth(1).is_some_and(|word| word == "runner") {
        sexton_loader::runner::serve();
    }
    sexton::cli::main()
}
