//! What runs log while they are under way: kept for each, bounded, until the settlement that takes it along is durable.
//!
//! Not the host's own log, and not the store's rows. It has a lock of its own, so that a plugin that logs much is in nobody's way. What must
//! hold: a run keeps its first lines and its newest; what fell out between them is counted, and said in its place.

use crate::engine::limits::{LOG_BYTES, LOG_LINES};
use chrono::SubsecRound;
use parking_lot::Mutex;
use sexton_core::{Occurrence, OccurrenceId};
use sexton_loader::seam::LogLine;
use sexton_store::rows::{RunLine, RunLog};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The level of the line that stands for lines that fell out: no record of a plugin has it.
const GAP: u8 = 0;
/// What one line costs on top of its texts, about.
const LINE_BYTES: usize = 64;

/// The lines of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    first: Vec<RunLine>,
    first_bytes: usize,
    /// From some line on everything goes to the newest.
    first_closed: bool,
    newest: VecDeque<RunLine>,
    newest_bytes: usize,
    dropped: u64,
}

/// The log of a run under way, or not durably settled.
#[derive(Clone, Debug)]
pub struct Going {
    /// Which attempt it is.
    pub attempt: u32,
    /// So far.
    pub kept: Kept,
}

#[derive(Debug)]
struct OfRun {
    occurrence: OccurrenceId,
    attempt: u32,
    generation: i64,
    kept: Kept,
}

#[derive(Debug, Default)]
struct Inner {
    /// By generation.
    plugins: HashMap<i64, Arc<str>>,
    /// By run number.
    runs: HashMap<u64, OfRun>,
}

/// The logs of all runs under way, and the names of those who log.
#[derive(Debug, Default)]
pub struct RunLogs(Mutex<Inner>);

impl RunLogs {
    /// A generation of this plugin is about to say something.
    pub fn name(&self, generation: i64, plugin: &str) {
        self.0.lock().plugins.insert(generation, plugin.into());
    }

    /// A generation says nothing more. Its runs keep what they have.
    pub fn forget_generation(&self, generation: i64) {
        self.0.lock().plugins.remove(&generation);
    }

    /// Runs are about to be handed over.
    pub fn open<'a>(&self, generation: i64, runs: impl Iterator<Item = (u64, &'a Occurrence)>) {
        let of_run = |o: &Occurrence| OfRun { occurrence: o.id, attempt: o.attempt, generation, kept: Kept::default() };
        self.0.lock().runs.extend(runs.map(|(number, occurrence)| (number, of_run(occurrence))));
    }

    /// These runs are settled, or never started.
    pub fn forget(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut inner = self.0.lock();
        for number in numbers {
            inner.runs.remove(&number);
        }
    }

    /// Keeps a line with its run. A run of another generation is none: a plugin may say any number.
    pub fn take(&self, generation: i64, line: &LogLine) -> (Option<Arc<str>>, Option<OccurrenceId>) {
        let mut inner = self.0.lock();
        let occurrence = inner.runs.get_mut(&line.run).filter(|run| run.generation == generation).map(|run| {
            run.kept.push(kept_line(line));
            run.occurrence
        });
        (inner.plugins.get(&generation).cloned(), occurrence)
    }

    /// What goes with the run's settlement. It stays here until that is durable.
    pub fn settling(&self, number: u64) -> Option<RunLog> {
        self.0.lock().runs.get(&number).and_then(|run| run.kept.whole())
    }

    /// The log of a run that is here; the newest one, if its occurrence was settled and has started again meanwhile.
    pub fn of(&self, occurrence: OccurrenceId, attempt: Option<u32>) -> Option<Going> {
        let inner = self.0.lock();
        let fits = |run: &OfRun| run.occurrence == occurrence && attempt.is_none_or(|a| a == run.attempt);
        let (_, run) = inner.runs.iter().filter(|(_, run)| fits(run)).max_by_key(|(number, _)| **number)?;
        Some(Going { attempt: run.attempt, kept: run.kept.clone() })
    }
}

impl Kept {
    /// As the store gave it back.
    #[must_use]
    pub fn of_stored(log: RunLog) -> Self {
        let RunLog { mut lines, dropped } = log;
        let newest = match lines.iter().position(is_gap) {
            Some(gap) => lines.split_off(gap).into_iter().skip(1).collect(),
            None => VecDeque::new(),
        };
        Self { first: lines, first_closed: true, newest, dropped, ..Self::default() }
    }

    fn push(&mut self, line: RunLine) {
        let bytes = LINE_BYTES + line.target.len() + line.message.len() + line.spans.len();
        let fits = self.first.len() < LOG_LINES.0 && self.first_bytes + bytes <= LOG_BYTES.0;
        if fits && !self.first_closed {
            self.first_bytes += bytes;
            self.first.push(line);
            return;
        }
        self.first_closed = true;
        self.newest_bytes += bytes;
        self.newest.push_back(line);
        while self.newest.len() > LOG_LINES.1 || self.newest_bytes > LOG_BYTES.1 {
            let Some(oldest) = self.newest.pop_front() else { return };
            self.newest_bytes -= LINE_BYTES + oldest.target.len() + oldest.message.len() + oldest.spans.len();
            self.dropped += 1;
        }
    }

    /// Lines that fell out.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many lines there were, with those that fell out.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.first.len() + self.newest.len()) as u64 + self.dropped
    }

    /// The lines after the first `seen`. For those of them that fell out stands one that says how many.
    #[must_use]
    pub fn after(&self, seen: u64) -> Vec<RunLine> {
        let skip = |lines: u64| usize::try_from(lines).unwrap_or(usize::MAX);
        let gap = self.first.len() as u64;
        let rest = gap + self.dropped;
        let mut lines: Vec<RunLine> = self.first.iter().skip(skip(seen)).cloned().collect();
        let missed = rest - seen.max(gap).min(rest);
        if missed > 0 {
            lines.push(self.gap(missed));
        }
        lines.extend(self.newest.iter().skip(skip(seen.saturating_sub(rest))).cloned());
        lines
    }

    /// For the store; nothing if nothing was said.
    fn whole(&self) -> Option<RunLog> {
        let lines = self.after(0);
        (!lines.is_empty()).then_some(RunLog { lines, dropped: self.dropped })
    }

    fn gap(&self, missed: u64) -> RunLine {
        let ((first, newest), bytes) = (LOG_LINES, (LOG_BYTES.0 + LOG_BYTES.1) / 1024);
        RunLine {
            at: self.newest.front().or(self.first.last()).map(|l| l.at).unwrap_or_default(),
            level: GAP,
            target: "sexton".to_owned(),
            message: format!("{missed} lines are left out here: of a run the first {first} and the newest {newest} are kept, {bytes} KiB"),
            spans: String::new(),
        }
    }
}

/// Whether a line stands for others that fell out.
fn is_gap(line: &RunLine) -> bool {
    line.level == GAP
}

fn kept_line(line: &LogLine) -> RunLine {
    RunLine {
        // As exact as the store: who follows sees each line the same from both.
        at: line.at.trunc_subsecs(6),
        level: line.level.clamp(1, 5),
        target: line.target.clone(),
        message: line.message.clone(),
        spans: line.spans.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: String) -> RunLine {
        RunLine { at: crate::clock::now(), level: 3, target: "t".to_owned(), message, spans: String::new() }
    }

    fn kept(lines: u64, bytes: usize) -> Kept {
        let mut kept = Kept::default();
        let zeros = "0".repeat(bytes);
        (0..lines).for_each(|n| kept.push(said(format!("{zeros}{n}"))));
        kept
    }

    /// What stands where something fell out, and the numbers of the other lines.
    fn read(lines: &[RunLine]) -> (Vec<&str>, Vec<u64>) {
        let (gaps, lines): (Vec<&RunLine>, Vec<&RunLine>) = lines.iter().partition(|line| is_gap(line));
        let numbers = lines.iter().map(|line| line.message.parse().expect("a number")).collect();
        (gaps.iter().map(|gap| gap.message.split(' ').next().expect("a count")).collect(), numbers)
    }

    #[test]
    fn the_first_and_the_newest_are_kept_and_the_rest_is_counted() {
        let kept = kept(10_000, 5);
        assert_eq!((kept.dropped(), kept.count()), (9_500, 10_000));
        let lines = kept.after(0);
        let (gaps, numbers) = read(&lines);
        assert_eq!(gaps, ["9500"]);
        assert_eq!(numbers, (0..100).chain(9_600..10_000).collect::<Vec<_>>());
        assert!(is_gap(&lines[100]), "it stands where they were");
    }

    #[test]
    fn bytes_are_bounded_whatever_is_said() {
        for (lines, bytes) in [(10_000, 1_000), (10_000, 16_384), (3, 1 << 20)] {
            let kept = kept(lines, bytes);
            let size: usize = kept.after(0).iter().map(|line| line.message.len()).sum();
            assert!(size <= LOG_BYTES.0 + LOG_BYTES.1 + 200, "{size} of {lines} lines of {bytes}");
            assert_eq!(kept.count(), lines);
        }
    }

    #[test]
    fn who_asks_again_sees_each_kept_line_once_from_here_and_from_the_store() {
        for (lines, bytes) in [(0, 1), (99, 5), (100, 5), (101, 5), (500, 5), (501, 5), (3_000, 5), (300, 1_000)] {
            let whole = kept(lines, bytes);
            let stored = whole.whole().map(Kept::of_stored).unwrap_or_default();
            let all = read(&whole.after(0)).1;
            assert_eq!((stored.count(), stored.dropped()), (whole.count(), whole.dropped()));
            for seen in (0..=lines).step_by(7).chain([lines, lines + 5]) {
                let rest: Vec<u64> = all.iter().copied().filter(|n| *n >= seen).collect();
                for from in [&whole, &stored] {
                    let after = from.after(seen);
                    let (gaps, numbers) = read(&after);
                    assert_eq!(numbers, rest, "{lines} lines, {seen} seen");
                    let missed: u64 = gaps.iter().map(|gap| gap.parse::<u64>().expect("a count")).sum();
                    assert_eq!(missed + rest.len() as u64, lines.saturating_sub(seen), "{lines} lines, {seen} seen");
                }
            }
        }
    }
}
