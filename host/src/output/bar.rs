//! A progress bar as text: how far, how long, and how long yet if that can be said honestly.
//!
//! Not its drawing on a terminal. What must hold: no line is longer than its width; an end is foretold only where the pace so far bears it.

use std::collections::VecDeque;
use std::time::Duration;

/// Observations that a pace is judged by.
const OBSERVED: usize = 32;
/// Before an end is foretold: so many steps were seen, over so long.
const SEEN: (usize, Duration) = (4, Duration::from_secs(2));
/// Cells of a bar, at most.
const BAR_MAX: usize = 30;

/// How far a run is, and for how long it has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// What goes on, such as `attempt 2`.
    pub name: &'a str,
    /// Steps done, steps in all; nothing if it has not said.
    pub steps: Option<(u64, Option<u64>)>,
    /// For people.
    pub note: &'a str,
    /// Since its start.
    pub elapsed: Duration,
    /// Until its end, if that can be said.
    pub left: Option<Duration>,
}

/// The line for a terminal of so many columns, one less so that it does not wrap. What has no room is left out: first the bar, then the time.
#[must_use]
pub fn line(state: &State<'_>, columns: usize) -> String {
    let width = columns.saturating_sub(1);
    let counts = match state.steps {
        None => String::new(),
        Some((done, None)) => format!(" {done}"),
        Some((done, Some(total))) => {
            let percent = percent(done, total).map_or_else(String::new, |percent| format!(" {percent:>3}%"));
            format!("{percent} {done}/{total}")
        }
    };
    let mut time = format!(" {}", span(state.elapsed.as_secs()));
    if let Some(left) = state.left {
        time += &format!(", about {} left", span(left.as_secs().max(1)));
    }
    let note = if state.note.is_empty() { String::new() } else { format!("  {}", state.note) };
    let used = |parts: &[&str]| parts.iter().map(|part| part.chars().count()).sum::<usize>();
    let fixed = used(&[state.name, &counts, &time]);
    // Half of what is left is the note's, if it needs it.
    let room = width.saturating_sub(fixed + 3);
    let cells = room.saturating_sub(used(&[&note]).min(room / 2)).min(BAR_MAX);
    let bar = match state.steps {
        Some((done, Some(total))) if total > 0 && cells >= 5 => format!(" {}", cells_of(done, total, cells)),
        _ => String::new(),
    };
    let whole = format!("{}{bar}{counts}{time}{note}", state.name);
    let whole = if fixed > width { format!("{}{counts}", state.name) } else { whole };
    fit(&whole, width)
}

/// `[=====>    ]`.
fn cells_of(done: u64, total: u64, cells: usize) -> String {
    let done = done.min(total);
    let full = usize::try_from(u128::from(done) * cells as u128 / u128::from(total)).unwrap_or(cells);
    let head = if full < cells { ">" } else { "" };
    format!("[{}{head}{}]", "=".repeat(full), " ".repeat(cells.saturating_sub(full + 1)))
}

/// Cut to the width, with an ellipsis. Characters of double width count as two.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let wide = |c: char| if wide(c) { 2 } else { 1 };
    if text.chars().map(wide).sum::<usize>() <= width {
        return text.to_owned();
    }
    let (mut used, mut kept) = (1, String::new());
    for c in text.chars() {
        used += wide(c);
        if used > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 { kept + "…" } else { kept }
}

/// East Asian and pictures, in large blocks: one that is taken for wide though it is not costs a column only.
fn wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

/// Whole percent, rounded down: it is 100 only when all is done.
#[must_use]
pub fn percent(done: u64, total: u64) -> Option<u64> {
    (total > 0).then(|| u64::try_from(u128::from(done.min(total)) * 100 / u128::from(total)).unwrap_or(100))
}

/// `7s`, `3m 07s`, `2h 05m`, `3d 4h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The pace of one attempt, as far as it was seen.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    total: Option<u64>,
    /// When, after the start of watching, and how many were done then: only what moved.
    seen: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// Notes how far it was at that time after the start of watching. A total that changes, or steps that go back, begin anew.
    pub fn note(&mut self, at: Duration, done: u64, total: Option<u64>) {
        let back = self.seen.back().is_some_and(|(_, before)| done < *before);
        if total != self.total || back {
            self.seen.clear();
            self.total = total;
        }
        if self.seen.back().is_none_or(|(_, before)| done > *before) {
            self.seen.push_back((at, done));
            if self.seen.len() > OBSERVED {
                self.seen.pop_front();
            }
        }
    }

    /// How long it will take yet: only if enough was seen, the pace is about the same in both halves of it, and it has not stopped moving.
    #[must_use]
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let (first, last) = (*self.seen.front()?, *self.seen.back()?);
        let (steps, over) = (last.1 - first.1, last.0.saturating_sub(first.0));
        let rest = self.total?.checked_sub(last.1).filter(|rest| *rest > 0)?;
        if self.seen.len() < SEEN.0 || over < SEEN.1 {
            return None;
        }
        let middle = self.seen[self.seen.len() / 2];
        let speed = |from: (Duration, u64), to: (Duration, u64)| as_f64(to.1 - from.1) / to.0.saturating_sub(from.0).as_secs_f64();
        let (early, late) = (speed(first, middle), speed(middle, last));
        let even = early <= 2.0 * late && late <= 2.0 * early;
        let between = over / u32::try_from(self.seen.len() - 1).ok()?;
        let moving = now.saturating_sub(last.0) <= between * 3 + Duration::from_secs(1);
        // A month is no forecast.
        let left = Duration::try_from_secs_f64(over.as_secs_f64() / as_f64(steps) * as_f64(rest)).ok()?;
        (even && moving && left < Duration::from_secs(30 * 86_400)).then(|| left.saturating_sub(now.saturating_sub(last.0)))
    }
}

/// Near enough for a pace.
fn as_f64(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a pace needs no more than 52 bits")]
    let near = n as f64;
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(steps: Option<(u64, Option<u64>)>, note: &str, left: Option<u64>) -> State<'_> {
        State { name: "attempt 1", steps, note, elapsed: Duration::from_secs(67), left: left.map(Duration::from_secs) }
    }

    #[test]
    fn a_bar_is_full_when_all_is_done_and_not_before() {
        assert_eq!(cells_of(0, 10, 10), "[>         ]");
        assert_eq!(cells_of(5, 10, 10), "[=====>    ]");
        assert_eq!(cells_of(9_999, 10_000, 10), "[=========>]");
        assert_eq!(cells_of(10, 10, 10), "[==========]");
        assert_eq!(cells_of(u64::MAX, u64::MAX, 10), "[==========]");
        assert_eq!([percent(9_999, 10_000), percent(3, 3), percent(0, 0)], [Some(99), Some(100), None]);
    }

    #[test]
    fn a_line_shows_what_has_room() {
        let wide = line(&state(Some((3, Some(10))), "copying", Some(150)), 80);
        assert_eq!(wide, "attempt 1 [======>               ]  30% 3/10 1m 07s, about 2m 30s left  copying");
        assert_eq!(line(&state(Some((3, Some(10))), "copying", None), 50), "attempt 1 [===>       ]  30% 3/10 1m 07s  copying");
        assert_eq!(line(&state(Some((3, Some(10))), "copying", None), 40), "attempt 1 [=>   ]  30% 3/10 1m 07s  co…");
        assert_eq!(line(&state(Some((3, Some(10))), "copying", None), 24), "attempt 1  30% 3/10");
        assert_eq!(line(&state(None, "", None), 80), "attempt 1 1m 07s");
        assert_eq!(line(&state(Some((7, None)), "files", None), 80), "attempt 1 7 1m 07s  files");
        assert_eq!(line(&state(Some((0, Some(0))), "", None), 80), "attempt 1 0/0 1m 07s");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let notes = ["", "copying", &"long ".repeat(60), &"漢字".repeat(40), &"🚚".repeat(50)];
        for note in notes {
            for steps in [None, Some((3, None)), Some((3, Some(10))), Some((u64::MAX, Some(u64::MAX)))] {
                for columns in 0..130 {
                    let drawn = line(&state(steps, note, Some(90_000)), columns);
                    let width: usize = drawn.chars().map(|c| if wide(c) { 2 } else { 1 }).sum();
                    assert!(width < columns.max(1), "{columns}: {width} {drawn}");
                }
            }
        }
    }

    #[test]
    fn an_end_is_foretold_only_where_the_pace_bears_it() {
        let at = Duration::from_millis;
        let seen = |points: &[(u64, u64)]| {
            let mut pace = Pace::default();
            points.iter().for_each(|(ms, done)| pace.note(at(*ms), *done, Some(100)));
            pace
        };
        let steady = seen(&[(0, 0), (1_000, 10), (2_000, 20), (3_000, 30), (4_000, 40)]);
        assert_eq!(steady.left(at(4_000)).map(|d| d.as_secs()), Some(6));
        assert_eq!(steady.left(at(5_000)).map(|d| d.as_secs()), Some(5), "it runs down between two steps");
        assert_eq!(steady.left(at(20_000)), None, "it has stopped moving");
        assert_eq!(seen(&[(0, 0), (1_000, 10), (2_000, 20)]).left(at(2_000)), None, "too few");
        assert_eq!(seen(&[(0, 0), (100, 1), (200, 2), (300, 3)]).left(at(300)), None, "too short");
        assert_eq!(seen(&[(0, 0), (1_000, 1), (2_000, 2), (2_500, 40), (3_000, 80)]).left(at(3_000)), None, "uneven");
        assert_eq!(seen(&[(0, 0), (1_000, 40), (2_000, 60), (3_000, 80), (4_000, 100)]).left(at(4_000)), None, "done");
        let mut back = steady.clone();
        back.note(at(5_000), 5, Some(100));
        assert_eq!(back.left(at(5_000)), None, "it began anew");
        let mut grown = steady.clone();
        grown.note(at(5_000), 50, Some(1_000));
        assert_eq!(grown.left(at(5_000)), None, "there is more to do than it said");
        let mut endless = Pace::default();
        (0..10).for_each(|n| endless.note(at(n * 1_000), n, None));
        assert_eq!(endless.left(at(9_000)), None, "nobody knows how much there is");
        let mut slow = Pace::default();
        (0..10).for_each(|n| slow.note(at(n * 1_000), n, Some(u64::MAX)));
        assert_eq!(slow.left(at(9_000)), None, "an age is no forecast");
    }

    #[test]
    fn spans_have_two_units() {
        assert_eq!([span(0), span(59), span(67), span(7_500), span(100_000)], ["0s", "59s", "1m 07s", "2h 05m", "1d 3h"]);
    }
}
