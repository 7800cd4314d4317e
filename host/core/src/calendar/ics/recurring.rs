//! Events that come again, asked one question at a time.
//!
//! Not the rules themselves (`schedule::rrule`). What must hold: a question begins where the last event that can still go on began, and
//! takes its steps from the budget of the whole calendar; an exhausted budget is a refusal, never "it does not come again".

use super::super::edges::{self, Answer};
use super::super::read::refused;
use super::lines::Line;
use super::{DAY, Skips, after};
use crate::refusal::Refusal;
use crate::schedule::rrule::{self, Rules};
use crate::schedule::steps::Steps;
use crate::schedule::zone;
use jiff::civil::DateTime as Civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The longest that an event lasts which comes again: what lasts longer overlaps itself many times over.
const LENGTH_MAX: i64 = 366 * DAY;
/// No clock jumps by more.
const JUMP_MAX: i64 = 25 * 3_600;

/// An event that comes again.
#[derive(Clone, Debug)]
pub(in crate::calendar) struct Recurring {
    rules: Rules,
    /// Seconds on the clock, more than none.
    length: i64,
    skips: Skips,
}

impl Recurring {
    /// From the line of its rule. `None`: it takes no time. Refuses with `INP023` a rule that is not understood, its line before it.
    pub(super) fn read(line: &Line, start: Civil, length: i64, skips: Skips, tz: &str) -> Result<Option<Self>, Refusal> {
        if length > LENGTH_MAX {
            return Err(line.refused("an event that comes again lasts too long", "at most 366 days"));
        }
        let text = format!("DTSTART:{}\nRRULE:{}", start.strftime("%Y%m%dT%H%M%S"), line.value().trim());
        let rules = rrule::read(&text).and_then(|read| read.settled(&zone::zone(tz)?));
        let rules = rules.map_err(|refusal| {
            let message = format!("ics, line {}: {}", line.number, refusal.message);
            Refusal { message, ..refusal }
        })?;
        let mut steps = Steps::new();
        if rules.next(start, &mut steps).is_none() && steps.is_spent() {
            return Err(line.refused("the search for a time of the rule was given up", "a rule that comes within the calendar"));
        }
        Ok((length > 0).then_some(Self { rules, length, skips }))
    }

    pub(in crate::calendar) fn ask(&self, zone: &TimeZone, at: Timestamp, steps: &mut Steps) -> Result<Answer, Refusal> {
        let earlier = SignedDuration::from_secs(self.length + JUMP_MAX);
        let mut from = zone.to_datetime(at).checked_sub(earlier).ok();
        let windows = std::iter::from_fn(|| {
            loop {
                let start = self.rules.next(from?, steps)?;
                from = start.checked_add(SignedDuration::from_secs(1)).ok();
                if !self.skips.has(start) {
                    return Some((start, after(start, self.length)));
                }
            }
        });
        let answer = edges::ask(zone, at, windows);
        if steps.is_spent() {
            return Err(refused("the search for the next of the events that come again was given up")
                .expected("an answer within the steps that one question may take")
                .found(format!("none after {} steps", steps.taken()))
                .remedy("leave events out of the calendar, or split it"));
        }
        Ok(answer)
    }
}
