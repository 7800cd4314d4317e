//! The parts of one rule, `FREQ=…;INTERVAL=…;…`: their ranges, and which of them contradict each other.
//!
//! Not the search (`rule`). What must hold: what RFC 5545 forbids is refused with its place, never read in one of several ways, and every
//! list is sorted, so that two texts of one meaning give equal parts.

use super::lines::{self, Moment};
use super::source::Source;
use crate::refusal::Refusal;
use crate::spelling::distance;
use std::ops::Range;

/// Times of one day that a rule may have: one a minute.
const TIMES_MAX: usize = 1_440;
/// Longest step between two periods; as days, more than a lifetime.
const INTERVAL_MAX: i32 = 100_000;
/// Most occurrences that a rule may count: those of a rule of days over 270 years.
const COUNT_MAX: i32 = 100_000;

/// How long the period of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freq {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A weekday with its ordinal, 0 if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WeekDay {
    /// Monday = 0.
    pub(super) day: i32,
    /// `1` the first, `-1` the last, 0 each.
    pub(super) nth: i32,
}

/// A rule as written. Lists are sorted and name nothing twice; an absent part is an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) freq: Freq,
    pub(super) interval: i32,
    pub(super) count: Option<i32>,
    /// The last instant, which still counts.
    pub(super) until: Option<Moment>,
    /// The first day of a week, Monday = 0.
    pub(super) week_start: i32,
    pub(super) months: Vec<i32>,
    pub(super) weeks: Vec<i32>,
    pub(super) year_days: Vec<i32>,
    pub(super) month_days: Vec<i32>,
    pub(super) week_days: Vec<WeekDay>,
    pub(super) hours: Vec<i32>,
    pub(super) minutes: Vec<i32>,
    pub(super) seconds: Vec<i32>,
    pub(super) set_pos: Vec<i32>,
}

const NAMES: [&str; 14] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYMONTH",
    "BYWEEKNO",
    "BYYEARDAY",
    "BYMONTHDAY",
    "BYDAY",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
    "BYSETPOS",
];
const FREQS: [(&str, Freq); 4] = [("DAILY", Freq::Daily), ("WEEKLY", Freq::Weekly), ("MONTHLY", Freq::Monthly), ("YEARLY", Freq::Yearly)];
const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// Reads one rule. Refuses with `INP023`.
pub(super) fn read(source: &Source<'_>, range: Range<usize>) -> Result<Parts, Refusal> {
    let mut reader = Reader { source, whole: range.clone(), seen: Vec::new() };
    let mut pieces = source.split(range, ';');
    if pieces.len() > 1 && pieces.last().is_some_and(Range::is_empty) {
        pieces.pop();
    }
    for piece in pieces {
        reader.see(&piece)?;
    }
    reader.parts()
}

struct Reader<'a> {
    source: &'a Source<'a>,
    whole: Range<usize>,
    /// Name, its place, the place of its value.
    seen: Vec<(&'static str, Range<usize>, Range<usize>)>,
}

impl Reader<'_> {
    fn see(&mut self, piece: &Range<usize>) -> Result<(), Refusal> {
        let source = self.source;
        let Some(equals) = source.get(piece).find('=') else {
            let message = if piece.is_empty() { "a part is empty".to_owned() } else { format!("{} has no `=`", source.quote(piece)) };
            return Err(source.refused(piece, message).expected("parts like `FREQ=DAILY`, parted by `;`"));
        };
        let name = source.trimmed(piece.start..piece.start + equals);
        let value = source.trimmed(piece.start + equals + 1..piece.end);
        let Some(known) = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(source.get(&name))) else {
            return Err(self.unknown(&name));
        };
        if self.seen.iter().any(|(seen, ..)| *seen == known) {
            return Err(source.refused(piece, format!("`{known}` is there twice")).remedy("a part has one list: write it with commas"));
        }
        self.seen.push((known, name, value));
        Ok(())
    }

    fn unknown(&self, name: &Range<usize>) -> Refusal {
        let word = self.source.get(name).to_ascii_uppercase();
        let refusal = self.source.refused(name, format!("{} is no part of a recurrence", self.source.quote(name)));
        match word.as_str() {
            "RSCALE" | "SKIP" => return refusal.remedy("only the Gregorian calendar is known, and dates that do not exist are skipped"),
            "BYEASTER" => return refusal.remedy("list the dates as RDATE"),
            "BYWEEKDAY" => return refusal.remedy("did you mean `BYDAY`?"),
            _ => {}
        }
        let near = NAMES.into_iter().map(|known| (distance(&word, known), known)).min().filter(|(away, _)| *away <= 2);
        let refusal = refusal.expected(format!("one of {}", NAMES.join(" ")));
        if let Some((_, known)) = near { refusal.remedy(format!("did you mean `{known}`?")) } else { refusal }
    }

    fn value(&self, name: &str) -> Option<&Range<usize>> {
        self.seen.iter().find(|(seen, ..)| *seen == name).map(|(_, _, value)| value)
    }

    /// From the name to the end of the value.
    fn place(&self, name: &str) -> Range<usize> {
        let seen = self.seen.iter().find(|(seen, ..)| *seen == name);
        seen.map_or(self.whole.clone(), |(_, name, value)| name.start..value.end)
    }

    fn parts(&self) -> Result<Parts, Refusal> {
        let numbers = |name: &str, low: i32, high: i32| self.numbers(name, low, high);
        let parts = Parts {
            interval: self.one("INTERVAL", 1, INTERVAL_MAX)?.unwrap_or(1),
            freq: self.freq()?,
            count: self.one("COUNT", 1, COUNT_MAX)?,
            until: self.value("UNTIL").map(|value| lines::until(self.source, value)).transpose()?,
            week_start: self.week_start()?,
            months: numbers("BYMONTH", 1, 12)?,
            weeks: numbers("BYWEEKNO", -53, 53)?,
            year_days: numbers("BYYEARDAY", -366, 366)?,
            month_days: numbers("BYMONTHDAY", -31, 31)?,
            week_days: self.week_days()?,
            hours: numbers("BYHOUR", 0, 23)?,
            minutes: numbers("BYMINUTE", 0, 59)?,
            seconds: numbers("BYSECOND", 0, 59)?,
            set_pos: numbers("BYSETPOS", -366, 366)?,
        };
        self.check(&parts)?;
        self.check_ordinals(&parts)?;
        Ok(parts)
    }

    fn freq(&self) -> Result<Freq, Refusal> {
        let source = self.source;
        let Some(value) = self.value("FREQ") else {
            return Err(source.refused(&self.whole, "the rule has no `FREQ`").expected("FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"));
        };
        let word = source.get(value).to_ascii_uppercase();
        if let Some((_, freq)) = FREQS.into_iter().find(|(name, _)| *name == word) {
            return Ok(freq);
        }
        if let Some(remedy) = finer(&word, self.one("INTERVAL", 1, INTERVAL_MAX)?.unwrap_or(1)) {
            let refusal = source.refused(value, format!("a recurrence finer than DAILY is not read: `FREQ={word}`"));
            return Err(refusal.expected("FREQ=DAILY, WEEKLY, MONTHLY or YEARLY").remedy(remedy));
        }
        let near = FREQS.into_iter().map(|(name, _)| (distance(&word, name), name)).min().filter(|(away, _)| *away <= 2);
        let refusal = source.refused(value, format!("{} is no frequency", source.quote(value)));
        let refusal = refusal.expected("DAILY, WEEKLY, MONTHLY or YEARLY");
        Err(if let Some((_, name)) = near { refusal.remedy(format!("did you mean `{name}`?")) } else { refusal })
    }

    fn week_start(&self) -> Result<i32, Refusal> {
        let Some(value) = self.value("WKST") else { return Ok(0) };
        let refused =
            || self.source.refused(value, format!("{} is no weekday", self.source.quote(value))).expected("one of MO TU WE TH FR SA SU");
        day_of(self.source.get(value)).ok_or_else(refused)
    }

    fn one(&self, name: &str, low: i32, high: i32) -> Result<Option<i32>, Refusal> {
        self.value(name).map(|value| self.number(name, value, low, high)).transpose()
    }

    fn numbers(&self, name: &str, low: i32, high: i32) -> Result<Vec<i32>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let items = self.source.split(value.clone(), ',').into_iter();
        let mut found = items.map(|item| self.number(name, &item, low, high)).collect::<Result<Vec<i32>, Refusal>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// A number in range. What counts from either end (`low` below 0) knows no zero.
    fn number(&self, name: &str, item: &Range<usize>, low: i32, high: i32) -> Result<i32, Refusal> {
        let text = self.source.get(item);
        let signless = if low < 0 { text.strip_prefix(['+', '-']).unwrap_or(text) } else { text };
        let is_number = (1..=6).contains(&signless.len()) && signless.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_number { text.parse::<i32>().ok() } else { None };
        number.filter(|number| (low..=high).contains(number) && (*number != 0 || low == 0)).ok_or_else(|| {
            let refusal = self.source.refused(item, format!("{} is not understood as `{name}`", self.source.quote(item)));
            if low < 0 {
                refusal.expected(format!("1 to {high}, or -1 to {low} from the end"))
            } else {
                refusal.expected(format!("{low} to {high}"))
            }
        })
    }

    fn week_days(&self) -> Result<Vec<WeekDay>, Refusal> {
        let Some(value) = self.value("BYDAY") else { return Ok(Vec::new()) };
        let items = self.source.split(value.clone(), ',').into_iter();
        let mut found = items.map(|item| self.week_day(&item)).collect::<Result<Vec<WeekDay>, Refusal>>()?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn week_day(&self, item: &Range<usize>) -> Result<WeekDay, Refusal> {
        let source = self.source;
        let split = item.end - source.get(item).len().min(2);
        let refused = || {
            let refusal = source.refused(item, format!("{} is not understood as `BYDAY`", source.quote(item)));
            refusal.expected("MO TU WE TH FR SA SU, or with an ordinal: `1MO` the first, `-1FR` the last")
        };
        let day = day_of(source.get(&(split..item.end))).ok_or_else(refused)?;
        let nth = if split == item.start { 0 } else { self.number("BYDAY", &(item.start..split), -53, 53)? };
        Ok(WeekDay { day, nth })
    }

    fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let refused = |name: &str, message: &str| Err(self.source.refused(&self.place(name), message));
        if parts.count.is_some() && parts.until.is_some() {
            return refused("UNTIL", "`COUNT` and `UNTIL` both say where the rule ends");
        }
        if !parts.weeks.is_empty() && parts.freq != Freq::Yearly {
            return refused("BYWEEKNO", "`BYWEEKNO` goes with `FREQ=YEARLY` only");
        }
        if !parts.year_days.is_empty() && parts.freq != Freq::Yearly {
            return refused("BYYEARDAY", "`BYYEARDAY` goes with `FREQ=YEARLY` only");
        }
        if !parts.month_days.is_empty() && parts.freq == Freq::Weekly {
            return refused("BYMONTHDAY", "`BYMONTHDAY` does not go with `FREQ=WEEKLY`");
        }
        let is_by = |name: &&str| name.starts_with("BY") && *name != "BYSETPOS";
        if !parts.set_pos.is_empty() && !self.seen.iter().any(|(name, ..)| is_by(name)) {
            return refused("BYSETPOS", "`BYSETPOS` chooses from what other `BY…` parts give, and there is none");
        }
        let times = [&parts.hours, &parts.minutes, &parts.seconds].into_iter().map(|list| list.len().max(1)).product::<usize>();
        if times > TIMES_MAX {
            let finest = ["BYSECOND", "BYMINUTE", "BYHOUR"].into_iter().find(|name| self.value(name).is_some()).unwrap_or("BYHOUR");
            let refusal = self.source.refused(&self.place(finest), "the rule has too many times a day");
            return Err(refusal.expected(format!("at most {TIMES_MAX}")).found(times.to_string()).remedy("cron says it in one line"));
        }
        Ok(())
    }

    fn check_ordinals(&self, parts: &Parts) -> Result<(), Refusal> {
        let Some(most) = parts.week_days.iter().map(|week_day| week_day.nth.abs()).max().filter(|most| *most > 0) else { return Ok(()) };
        let refused = |message: &str| Err(self.source.refused(&self.place("BYDAY"), message));
        if parts.freq < Freq::Monthly {
            return refused("an ordinal in `BYDAY` goes with `FREQ=MONTHLY` and `FREQ=YEARLY` only");
        }
        if !parts.weeks.is_empty() {
            return refused("an ordinal in `BYDAY` does not go with `BYWEEKNO`");
        }
        if most > 5 && (parts.freq == Freq::Monthly || !parts.months.is_empty()) {
            return refused("a month has a weekday five times at most");
        }
        Ok(())
    }
}

fn day_of(text: &str) -> Option<i32> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(text)).and_then(|at| i32::try_from(at).ok())
}

/// How a rule finer than DAILY is said here. `None`: the word is no such frequency.
fn finer(word: &str, interval: i32) -> Option<String> {
    let (cron, whole, unit) = match word {
        "HOURLY" => (format!("0 */{interval} * * *"), 24, "h"),
        "MINUTELY" => (format!("*/{interval} * * * *"), 60, "m"),
        "SECONDLY" => (format!("*/{interval} * * * * *"), 60, "s"),
        _ => return None,
    };
    let cron = cron.replace("*/1 ", "* ");
    Some(if interval < whole && whole % interval == 0 {
        format!("say it in cron: `{cron}`")
    } else {
        format!("say it as an interval: every `{interval}{unit}`")
    })
}
