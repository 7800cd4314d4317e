//! What a command line answered: exit code and both streams, with the questions that tests ask of them.
//!
//! Not a parser of tables: programs read JSON. What must hold: every complaint shows the whole answer.

use serde_json::Value;
use std::fmt;
use std::process::Output;

/// The answer of one call of `sexton`.
#[derive(Clone, Debug)]
pub struct Said {
    /// What was asked.
    pub asked: String,
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Keeps an answer.
    #[must_use]
    pub fn new(asked: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { asked, code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Exit code 0, or the test ends.
    pub fn fine(self) -> Self {
        assert!(self.code == Some(0), "{self}");
        self
    }

    /// Refused with exactly this error code and one of the exit codes for refusals (2 wrong input, 4 refused by the host, 1 failed), without a panic.
    pub fn refused(self, error: &str) -> Self {
        assert!(matches!(self.code, Some(1 | 2 | 4)), "expected a refusal with {error}: {self}");
        assert!(self.stderr.contains(error) || self.stdout.contains(error), "expected {error}: {self}");
        assert!(!self.stderr.contains("panicked at"), "{self}");
        self
    }

    /// Says this text somewhere.
    pub fn saying(self, text: &str) -> Self {
        assert!(self.stderr.contains(text) || self.stdout.contains(text), "expected the words `{text}`: {self}");
        self
    }

    /// Ends with this exit code.
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}: {self}");
        self
    }

    /// Standard output as one JSON value.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self}"))
    }

    /// Standard output as one JSON value a line.
    #[must_use]
    pub fn ndjson(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("not a line of JSON ({e}): {self}"));
        self.stdout.lines().filter(|line| !line.trim().is_empty()).map(read).collect()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`sexton {}` ended with {:?}\n--- stdout\n{}\n--- stderr\n{}", self.asked, self.code, self.stdout, self.stderr)
    }
}
