//! The witness file of a job: one line appended per run, by the job itself.
//!
//! Not the host's record of runs: the two are compared. What must hold: a line is written by one `write` to a file opened for appending, so that
//! lines of many runs and generations never mix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where one job leaves its lines.
#[derive(Clone, Debug)]
pub struct Witness {
    path: PathBuf,
}

/// What a job said of one run: `occurrence attempt answer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `<event id>.<n>`.
    pub occurrence: String,
    /// From 1.
    pub attempt: u32,
    /// What the code of this build answers; says which build ran.
    pub answer: String,
}

impl Witness {
    /// At this path; the job makes the file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// For the `witness` field of the job's arguments.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines so far, in the order in which they were written.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(|line| Line::parse(line).unwrap_or_else(|| panic!("not a line of a witness: `{line}`"))).collect()
    }

    /// How many lines there are, cheaply.
    #[must_use]
    pub fn len(&self) -> usize {
        std::fs::read(&self.path).unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Whether no job has written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often each occurrence was run.
    #[must_use]
    pub fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for line in self.lines() {
            *times.entry(line.occurrence).or_insert(0) += 1;
        }
        times
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        Some(Self { occurrence: words.next()?.to_owned(), attempt: words.next()?.parse().ok()?, answer: words.next()?.to_owned() })
    }
}
