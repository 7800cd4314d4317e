//! Events of an iCalendar file (RFC 5545) as times inside a calendar.
//!
//! Not a scheduler of those events and not a full reader: alarms, to-dos and free-busy times are passed over, and so are zones that the file
//! describes itself (its zones must be IANA names). Cancelled events are left out; transparent ones count like any other. An instance that
//! another event of the same UID replaces (RECURRENCE-ID) is replaced. What must hold: lengths are those of the clock, so that an event from
//! 22:00 to 06:00 ends at 06:00 when clocks change in between.

mod lines;
mod recurring;

pub(super) use recurring::Recurring;

use super::days::Listed;
use super::edges::{self, Window};
use super::read::refused;
use super::{Entry, Set};
use crate::refusal::Refusal;
use crate::schedule::zone;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime as Civil};
use lines::{Line, Moment};
use std::collections::BTreeMap;

/// The most bytes of a file.
pub const SIZE_MAX: usize = 1_048_576;
/// The most events of a file.
pub const EVENTS_MAX: usize = 10_000;
/// The most events of a file that recur: each question asks each of them.
pub const RECURRING_MAX: usize = 1_000;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// An event as written.
#[derive(Debug, Default)]
struct Event {
    uid: String,
    start: Option<Moment>,
    end: Option<Moment>,
    length: Option<i64>,
    rule: Option<Line>,
    left_out: Vec<Moment>,
    /// Further instances, with their own end if they have one.
    added: Vec<(Moment, Option<Tail>)>,
    replaces: Option<Moment>,
    is_cancelled: bool,
}

/// How a period ends.
#[derive(Clone, Debug)]
enum Tail {
    At(Moment),
    Seconds(i64),
}

/// The times of all events of a file. `tz` is the zone of times that name none.
pub(super) fn read(file: &str, tz: &str) -> Result<Vec<Entry>, Refusal> {
    if file.len() > SIZE_MAX {
        return Err(refused("ics is too large").expected(format!("at most {SIZE_MAX} bytes")).found(format!("{} bytes", file.len())));
    }
    let events = events(lines::unfold(file.trim_start_matches('\u{feff}'))?)?;
    let mut replaced: BTreeMap<&str, Vec<Moment>> = BTreeMap::new();
    for event in &events {
        if let Some(moment) = &event.replaces {
            replaced.entry(&event.uid).or_default().push(moment.clone());
        }
    }
    let mut listed: BTreeMap<String, Vec<Window>> = BTreeMap::new();
    let mut entries = Vec::new();
    for event in events.iter().filter(|event| !event.is_cancelled) {
        let Some(start) = &event.start else { continue };
        let zone = start.tz.as_deref().unwrap_or(tz);
        let length = event.length(start, tz)?;
        // The first event of a UID is the one whose instances the others replace.
        let replaced = if event.replaces.is_none() { replaced.remove(event.uid.as_str()) } else { None };
        let skips = Skips::new(event.left_out.iter().chain(replaced.iter().flatten()), zone, tz)?;
        if let Some(rule) = &event.rule {
            let recurring = Recurring::read(rule, start.civil, length, skips.clone(), zone)?;
            entries.extend(recurring.map(|recurring| Entry { tz: zone.to_owned(), set: Set::Recurring(Box::new(recurring)) }));
        }
        // The start is the first instance, whether the rule names it or not.
        if !skips.has(start.civil) {
            listed.entry(zone.to_owned()).or_default().push((start.civil, after(start.civil, length)));
        }
        for (moment, tail) in &event.added {
            let civil = civil_in(moment, zone, tz)?;
            if !skips.has(civil) {
                let length = tail.as_ref().map_or(Ok(length), |tail| tail.length(moment, tz))?;
                listed.entry(zone.to_owned()).or_default().push((civil, after(civil, length)));
            }
        }
    }
    entries.extend(listed.into_iter().map(|(tz, windows)| Entry { tz, set: Set::Listed(Listed::new(windows)) }));
    Ok(entries)
}

/// Instances that are left out or replaced.
#[derive(Clone, Debug, Default, PartialEq)]
struct Skips {
    times: Vec<Civil>,
    days: Vec<Date>,
}

impl Skips {
    fn new<'a>(moments: impl Iterator<Item = &'a Moment>, zone: &str, tz: &str) -> Result<Self, Refusal> {
        let mut skips = Self::default();
        for moment in moments {
            match moment.is_date {
                true => skips.days.push(moment.civil.date()),
                false => skips.times.push(civil_in(moment, zone, tz)?),
            }
        }
        skips.times.sort_unstable();
        skips.days.sort_unstable();
        Ok(skips)
    }

    fn has(&self, start: Civil) -> bool {
        self.times.binary_search(&start).is_ok() || self.days.binary_search(&start.date()).is_ok()
    }
}

impl Event {
    /// Seconds on the clock from its start to its end.
    fn length(&self, start: &Moment, tz: &str) -> Result<i64, Refusal> {
        match (&self.end, self.length) {
            (Some(end), _) => Tail::At(end.clone()).length(start, tz),
            (None, Some(length)) => Ok(length),
            // A day without an end is that day; a time without an end is no time.
            (None, None) => Ok(if start.is_date { DAY } else { 0 }),
        }
    }

    fn take(&mut self, line: Line) -> Result<(), Refusal> {
        match line.name.as_str() {
            "UID" => line.value().trim().clone_into(&mut self.uid),
            "DTSTART" => self.start = Some(line.moment()?),
            "DTEND" => self.end = Some(line.moment()?),
            "DURATION" => self.length = Some(line.seconds_of(line.value())?),
            "STATUS" => self.is_cancelled = line.value().trim().eq_ignore_ascii_case("CANCELLED"),
            "RRULE" if self.rule.is_some() => {
                return Err(line.refused("an event has two rules", "one RRULE an event").remedy("make it two events"));
            }
            "RRULE" => self.rule = Some(line),
            "EXRULE" => {
                return Err(line.refused("rules of exceptions are not read", "EXDATE lines").remedy("write the dates of the exceptions"));
            }
            "EXDATE" => {
                for part in line.value().split(',') {
                    self.left_out.push(line.moment_of(part)?);
                }
            }
            "RDATE" => {
                for part in line.value().split(',') {
                    self.added.push(match part.split_once('/') {
                        Some((from, to)) if to.starts_with(['P', '+']) => {
                            (line.moment_of(from)?, Some(Tail::Seconds(line.seconds_of(to)?)))
                        }
                        Some((from, to)) => (line.moment_of(from)?, Some(Tail::At(line.moment_of(to)?))),
                        None => (line.moment_of(part)?, None),
                    });
                }
            }
            "RECURRENCE-ID" if line.parameter("RANGE").is_some() => {
                let refusal = line.refused("a change of this instance and all later ones is not read", "RECURRENCE-ID without RANGE");
                return Err(refusal.remedy("end the old event with UNTIL and begin a new one"));
            }
            "RECURRENCE-ID" => self.replaces = Some(line.moment()?),
            _ => {}
        }
        Ok(())
    }
}

impl Tail {
    fn length(&self, start: &Moment, tz: &str) -> Result<i64, Refusal> {
        match self {
            Self::Seconds(seconds) => Ok(*seconds),
            Self::At(end) => {
                let civil = civil_in(end, start.tz.as_deref().unwrap_or(tz), tz)?;
                let length = civil.duration_since(start.civil).as_secs();
                if length < 0 {
                    return Err(
                        refused(format!("ics: an event ends before it starts, at {}", start.civil)).expected("an end after the start")
                    );
                }
                Ok(length)
            }
        }
    }
}

/// A moment on the clock of `zone`; `tz` is the zone of moments that name none. Days are days in every zone.
fn civil_in(moment: &Moment, zone: &str, tz: &str) -> Result<Civil, Refusal> {
    let from = moment.tz.as_deref().unwrap_or(tz);
    if moment.is_date || from == zone {
        return Ok(moment.civil);
    }
    let instant = edges::beginning(&zone::zone(from)?, moment.civil);
    let to = zone::zone(zone)?;
    Ok(instant.map_or(moment.civil, |instant| to.to_datetime(instant)))
}

fn after(civil: Civil, seconds: i64) -> Civil {
    civil.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Civil::MAX)
}

/// Events within their components. What lies within an event (alarms) is not the event's.
fn events(lines: Vec<Line>) -> Result<Vec<Event>, Refusal> {
    let mut within: Vec<String> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    let (mut recurring, mut began) = (0, 0);
    for line in lines {
        let component = line.value().trim().to_ascii_uppercase();
        match line.name.as_str() {
            "BEGIN" => {
                if within.is_empty() && component != "VCALENDAR" {
                    break;
                }
                if component == "VEVENT" && within.len() == 1 {
                    if events.len() == EVENTS_MAX {
                        return Err(line.refused("there are too many events", format!("at most {EVENTS_MAX}")));
                    }
                    events.push(Event::default());
                }
                began += 1;
                within.push(component);
            }
            "END" if within.last() == Some(&component) => {
                if component == "VEVENT" && within.len() == 2 && events.last().is_some_and(|event| event.start.is_none()) {
                    return Err(line.refused("the event has no start", "a DTSTART in each VEVENT"));
                }
                within.pop();
            }
            "END" => return Err(line.refused(format!("this ends no `{component}`"), "the end of what began last")),
            _ if within.len() == 2 && within[1] == "VEVENT" => {
                recurring += usize::from(line.name == "RRULE");
                if recurring > RECURRING_MAX {
                    return Err(line.refused("there are too many events that come again", format!("at most {RECURRING_MAX}")));
                }
                if let Some(event) = events.last_mut() {
                    event.take(line)?;
                }
            }
            _ => {}
        }
    }
    match within.last() {
        Some(open) => Err(refused(format!("ics: `{open}` has no end")).expected(format!("`END:{open}`"))),
        None if began == 0 => Err(refused("ics is no iCalendar file").expected("a text that begins with `BEGIN:VCALENDAR`")),
        None => Ok(events),
    }
}
