//! What needs no host: `explain` and `completions`.
//!
//! Not `plugin check`, `schedule` and `config`, which need none either but stand with their kin. What must hold: they work on any machine.

use crate::cli::connect::Door;
use crate::cli::{Done, Failure};
use crate::explain;
use crate::output;
use crate::output::table::{Column, text};
use clap::Args;
use serde_json::json;
use sexton_core::{Blame, Refusal};

/// Which code.
#[derive(Debug, Args)]
pub struct Explain {
    /// A code such as PLG003; without one, all codes are listed
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

const COLUMNS: &[Column] = &[Column { head: "CODE", cell: |c| text(c, "code") }, Column { head: "MEANS", cell: |c| text(c, "title") }];

impl Explain {
    /// Prints the page.
    ///
    /// # Errors
    /// For a code that has no page.
    pub fn run(self, door: &Door) -> Done {
        let Some(code) = self.code else {
            let rows = explain::codes().map(|(code, title)| json!({"code": code, "title": title})).collect();
            return door.rows(rows, COLUMNS, "no codes");
        };
        let page = explain::page(&code).ok_or_else(|| {
            let refusal = Refusal::new("INP016", Blame::Input, format!("there is no error code `{code}`"));
            Failure::Input(refusal.remedy("`sexton explain` lists every code"))
        })?;
        door.answer(&json!({"code": code.to_ascii_uppercase(), "page": page}), |_| page.to_owned())
    }
}

/// For which shell.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn run(self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::command(), "sexton", &mut script);
        output::line(&String::from_utf8_lossy(&script))?;
        Ok(())
    }
}
