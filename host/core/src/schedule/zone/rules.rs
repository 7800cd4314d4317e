//! What of a zone moves schedules: its offsets over a stretch of time, to be compared with what the next zone data says.
//!
//! Not the zone data. What must hold: two rules agree exactly if no instant of the stretch that both cover has another offset.

use super::zone;
use crate::refusal::Refusal;
use chrono::{DateTime, Utc};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far ahead rules are compared: what is planned lies nearer, but for a few yearly schedules, which are planned again each year.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 366 * 20);

/// The offsets of a zone from an instant on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRules {
    /// Covered from this second on.
    from: i64,
    /// Covered before this second.
    until: i64,
    /// Seconds since 1970, and the offset in seconds east of UTC from then on; the first is `from`.
    changes: Vec<(i64, i32)>,
}

impl ZoneRules {
    /// The rules of a zone from `from` on, twenty years ahead. Refuses with `INP004`.
    pub fn of(name: &str, from: DateTime<Utc>) -> Result<Self, Refusal> {
        let zone = zone(name)?;
        let from = Timestamp::from_second(from.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
        let until = from.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let mut offset = zone.to_offset(from);
        let mut changes = vec![(from.as_second(), offset.seconds())];
        for change in zone.following(from).take_while(|change| change.timestamp() < until) {
            if change.offset() != offset {
                offset = change.offset();
                changes.push((change.timestamp().as_second(), offset.seconds()));
            }
        }
        Ok(Self { from: from.as_second(), until: until.as_second(), changes })
    }

    /// Whether both say the same of every instant that both cover.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        let within = |rules: &Self| rules.changes.iter().map(|(at, _)| *at).filter(|at| (from..until).contains(at)).collect::<Vec<_>>();
        from < until && [vec![from], within(self), within(other)].concat().into_iter().all(|at| self.offset_at(at) == other.offset_at(at))
    }

    fn offset_at(&self, second: i64) -> Option<i32> {
        self.changes.iter().rev().find(|(at, _)| *at <= second).map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn rules_agree_over_what_both_cover() {
        let paris = ZoneRules::of("Europe/Paris", at("2026-01-01T00:00:00Z")).expect("a zone");
        assert!(paris.agrees_with(&ZoneRules::of("Europe/Paris", at("2031-07-01T00:00:00Z")).expect("a zone")), "later asked, same rules");
        assert!(paris.agrees_with(&ZoneRules::of("Europe/Berlin", at("2026-03-01T00:00:00Z")).expect("a zone")));
        assert!(!paris.agrees_with(&ZoneRules::of("Europe/London", at("2026-01-01T00:00:00Z")).expect("a zone")));
        assert!(!paris.agrees_with(&ZoneRules::of("Europe/Paris", at("2090-01-01T00:00:00Z")).expect("a zone")), "nothing in common");
        let mut moved = paris.clone();
        moved.changes[3].0 += 3_600;
        assert!(!paris.agrees_with(&moved) && !moved.agrees_with(&paris));
    }
}
