//! The way from a command to its host: which socket, and pages of lists.
//!
//! Not the wire (`client`). What must hold: a list asks for pages by key until it has enough.

use crate::cli::Failure;
use crate::client::{Client, environment, query};
use crate::output::table::{Column, draw};
use crate::output::{self, Format};
use serde_json::Value;

/// Rows a table shows when nobody says how many; programs get all.
const TABLE_ROWS: usize = 200;
/// Rows of one page.
const PAGE: usize = 1_000;

/// Where the host is, and how to write its answers.
#[derive(Clone, Debug)]
pub struct Door {
    /// As said by `--host` or `SEXTON_HOST`.
    pub address: Option<String>,
    /// As said by `--output`.
    pub format: Format,
}

impl Door {
    /// The client: `--host`, else `SEXTON_HOST`, else `SEXTON_SOCKET`, else the socket in the default state directory.
    ///
    /// # Errors
    /// When the address is none.
    pub fn open(&self) -> Result<Client, Failure> {
        let env = environment();
        let address = match (&self.address, env.get("SEXTON_SOCKET"), env.get("SEXTON_STATE")) {
            (Some(address), _, _) => address.clone(),
            (None, Some(socket), _) => socket.clone(),
            (None, None, Some(state)) => format!("{state}/sexton.sock"),
            (None, None, None) => crate::config::default_state(&env).map_err(Failure::Input)?.join("sexton.sock").display().to_string(),
        };
        Ok(Client::new(&address)?)
    }

    /// Writes one answer: JSON for programs, `drawn` for people.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer(&self, value: &Value, drawn: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Table => output::line(&drawn(value))?,
            format => output::value(format, value)?,
        }
        Ok(())
    }

    /// Writes rows that are all here.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn rows(&self, rows: Vec<Value>, columns: &[Column], none: &str) -> Result<(), Failure> {
        self.answer(&Value::Array(rows), |rows| draw(columns, rows.as_array().map_or(&[], Vec::as_slice), none))
    }

    /// Writes a list that comes in pages: `{"items": [...], "next": …}`. NDJSON is written page by page.
    ///
    /// # Errors
    /// When the host refuses, or the answer cannot be written.
    pub fn pages(&self, list: &List<'_>) -> Result<(), Failure> {
        let client = self.open()?;
        let most = list.limit.unwrap_or(if self.format == Format::Table { TABLE_ROWS } else { usize::MAX });
        let (mut rows, mut written, mut before) = (Vec::new(), 0, None);
        while written < most {
            let mut pairs = list.pairs.to_vec();
            pairs.push(("limit", Some(PAGE.min(most - written).to_string())));
            pairs.push(("before", before));
            let mut answer = client.get(&query(list.path, &pairs))?;
            before = answer.get("next").and_then(Value::as_str).map(str::to_owned);
            let Value::Array(items) = answer["items"].take() else { break };
            let kept = items.into_iter().filter(list.keep).take(most - written);
            for row in kept {
                written += 1;
                if self.format == Format::Ndjson {
                    output::line(&row.to_string())?;
                } else {
                    rows.push(row);
                }
            }
            if before.is_none() {
                break;
            }
        }
        if self.format != Format::Ndjson {
            self.rows(rows, list.columns, list.none)?;
        }
        if before.is_some() && self.format == Format::Table {
            output::note(&format!("(the first {written}; `--limit N` shows more)"));
        }
        Ok(())
    }
}

/// A list to be asked for.
pub struct List<'a> {
    /// Where.
    pub path: &'a str,
    /// The filters.
    pub pairs: &'a [(&'a str, Option<String>)],
    /// Rows at most.
    pub limit: Option<usize>,
    /// Rows to show; the others are passed over.
    pub keep: fn(&Value) -> bool,
    /// For people.
    pub columns: &'a [Column],
    /// What to say when there is nothing.
    pub none: &'a str,
}
