//! `sexton plugin diff|history|rollback|place`: what a build would change, what happened, back to an earlier one, and where it runs.
//!
//! Not the transactions (the supervisor's). What must hold: every answer can be had as JSON, with full digests.

use crate::cli::connect::{Door, List};
use crate::cli::plugin::{at, in_a_line};
use crate::cli::{Done, Failure};
use crate::output::table::{Column, card, cut, instant, text};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to compare.
#[derive(Debug, Args)]
pub struct Diff {
    /// The .so file; it need not be in the plugin directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Whose history.
#[derive(Debug, Args)]
pub struct History {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// At most this many [default: 200 in a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// How far back.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A build by its digest or a generation's number [default: the one before what serves]
    #[arg(long, value_name = "DIGEST|GENERATION")]
    pub to: Option<String>,
    /// Pause stored events whose arguments it does not accept, instead of refusing it
    #[arg(long)]
    pub force: bool,
}

/// Where to.
#[derive(Debug, Args)]
pub struct Place {
    /// The plugin's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// In a process of its own, or on threads of the host's
    #[arg(value_name = "PLACEMENT", value_parser = ["runner", "in-process"])]
    pub placement: String,
}

impl Diff {
    /// Asks the host.
    ///
    /// # Errors
    /// No host, or its refusal: that which `load` would give.
    pub fn run(self, door: &Door) -> Done {
        let path = std::path::absolute(&self.file).map_err(Failure::from)?;
        let answer = door.open()?.post("/api/v1/plugins/diff", &json!({"path": path}))?;
        door.answer(&answer, drawn)
    }
}

impl History {
    /// Asks the host.
    ///
    /// # Errors
    /// No host, or its refusal.
    pub fn run(self, door: &Door) -> Done {
        let path = at(&self.name, "/history");
        door.pages(&List { path: &path, pairs: &[], limit: self.limit, keep: |_| true, columns: HISTORY, none: "nothing happened yet" })
    }
}

impl Rollback {
    /// Asks the host.
    ///
    /// # Errors
    /// No host, or its refusal.
    pub fn run(self, door: &Door) -> Done {
        let answer = door.open()?.post(&at(&self.name, "/rollback"), &json!({"to": self.to, "force": self.force}))?;
        door.answer(&answer, |p| {
            let line = in_a_line("rolled back", p);
            format!("{line}\nbuild {}; until its file changes, or `sexton plugin release {}`", short(p, "digest"), self.name)
        })
    }
}

impl Place {
    /// Asks the host.
    ///
    /// # Errors
    /// No host, or its refusal.
    pub fn run(self, door: &Door) -> Done {
        let answer = door.open()?.post(&at(&self.name, "/place"), &json!({"placement": self.placement}))?;
        door.answer(&answer, |p| format!("{}, placement {}", in_a_line("placed", p), self.placement))
    }
}

const HISTORY: &[Column] = &[
    Column { head: "AT", cell: |h| instant(h, "at") },
    Column { head: "WHO", cell: |h| text(h, "actor") },
    Column { head: "WHAT", cell: |h| [text(h, "what"), cut(&text(h, "why"), 40)].join(" ").trim_end().to_owned() },
    Column { head: "GEN", cell: |h| text(h, "generation") },
    Column { head: "PLACEMENT", cell: |h| text(h, "placement") },
    Column { head: "BUILD", cell: build },
    Column { head: "TYPES", cell: types },
    Column { head: "PAUSED", cell: |h| text(h, "events_paused") },
    Column {
        head: "DRAINED",
        cell: |h| Some(text(h, "drained_ms")).filter(|t| !t.is_empty()).map_or_else(String::new, |t| format!("{t} ms")),
    },
    Column { head: "RESIDUE", cell: |h| cut(&text(h, "residue"), 40) },
];

fn build(happened: &Value) -> String {
    match (short(happened, "digest_from"), short(happened, "digest_to")) {
        (from, to) if from.is_empty() => to,
        (from, to) if to.is_empty() || to == from => from,
        (from, to) => format!("{from} → {to}"),
    }
}

fn types(happened: &Value) -> String {
    let counted = [("+", "types_added"), ("-", "types_removed"), ("~", "types_changed")];
    let counted = counted.map(|(sign, key)| (sign, happened[key].as_array().map_or(0, Vec::len)));
    counted.iter().filter(|(_, n)| *n > 0).map(|(sign, n)| format!("{sign}{n}")).collect::<Vec<_>>().join(" ")
}

fn short(value: &Value, key: &str) -> String {
    text(value, key).chars().take(12).collect()
}

fn drawn(diff: &Value) -> String {
    let (before, after) = (&diff["before"], &diff["after"]);
    let pair = |key: &str, cut: usize| {
        let of = |side: &Value| text(side, key).chars().take(cut).collect::<String>();
        if before.is_null() {
            return of(after);
        }
        if before[key] == after[key] { format!("{} (the same)", of(after)) } else { format!("{} → {}", of(before), of(after)) }
    };
    let refused = diff["events_refused"].as_u64().unwrap_or(0);
    let facts = card(&[
        ("plugin", text(diff, "plugin")),
        ("serves now", if before.is_null() { "nothing of it".to_owned() } else { format!("generation {}", text(before, "generation")) }),
        ("version", pair("version", 40)),
        ("digest", pair("digest", 12)),
        ("rustc", pair("rustc", 60)),
        ("types added", text(diff, "types_added")),
        ("types removed", text(diff, "types_removed")),
        ("types of others", text(diff, "types_owned_by_others")),
        ("actions added", text(diff, "actions_added")),
        ("actions removed", text(diff, "actions_removed")),
        ("standing added", text(diff, "standing_added")),
        ("standing changed", text(diff, "standing_changed")),
        ("standing removed", text(diff, "standing_removed")),
        ("events checked", text(diff, "events_checked")),
        ("events refused", refused.to_string()),
        ("warnings", crate::cli::plugin_check::lines(&diff["warnings"])),
    ]);
    let mut all = facts;
    for changed in diff["types_changed"].as_array().into_iter().flatten() {
        let lines = changed["differences"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let lines: String = lines.map(|line| format!("\n  {line}")).collect();
        all += &format!("\n\narguments of {}{lines}", text(changed, "event_type"));
    }
    if refused > 0 {
        let named = diff["refused"].as_array().cloned().unwrap_or_default();
        let lines: String =
            named.iter().map(|n| format!("\n  {} ({}): {}", text(n, "event"), text(n, "event_type"), text(n, "why"))).collect();
        let more = refused.saturating_sub(named.len() as u64);
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        all += &format!("\n\nstored events whose arguments it does not accept: it would be refused without `--force`{lines}{more}");
    }
    all
}
