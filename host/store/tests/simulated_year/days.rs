//! The clock changes of 2027, written down by hand, and what a daily time becomes by them.
//!
//! Not the zone data that schedules use: it is what they are compared with. What must hold: a day whose clock skips the time has it at the
//! end of the skip, a day whose clock shows it twice has it at the first.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// A zone in 2027: minutes east of UTC at its beginning, and each change, with the minutes from then on.
pub struct Zone {
    pub name: &'static str,
    pub at_first: i64,
    pub changes: [(&'static str, i64); 2],
}

pub const ZONES: [Zone; 5] = [
    Zone { name: "Europe/Paris", at_first: 60, changes: [("2027-03-28T01:00:00Z", 120), ("2027-10-31T01:00:00Z", 60)] },
    Zone { name: "America/New_York", at_first: -300, changes: [("2027-03-14T07:00:00Z", -240), ("2027-11-07T06:00:00Z", -300)] },
    Zone { name: "Australia/Lord_Howe", at_first: 660, changes: [("2027-04-03T15:00:00Z", 630), ("2027-10-02T15:30:00Z", 660)] },
    Zone { name: "America/Santiago", at_first: -180, changes: [("2027-04-04T03:00:00Z", -240), ("2027-09-05T04:00:00Z", -180)] },
    Zone { name: "Asia/Beirut", at_first: 120, changes: [("2027-03-27T22:00:00Z", 180), ("2027-10-30T21:00:00Z", 120)] },
];

/// The zone of that name.
pub fn zone(name: &str) -> &'static Zone {
    ZONES.iter().find(|zone| zone.name == name).expect("one of the table")
}

impl Zone {
    pub fn changes(&self) -> [(DateTime<Utc>, i64); 2] {
        self.changes.map(|(at, minutes)| (at.parse().expect("an instant"), minutes))
    }

    /// The instant of a local minute of a day.
    fn at(&self, day: NaiveDate, minute: i64) -> DateTime<Utc> {
        let local = day.and_hms_opt(0, 0, 0).expect("midnight").and_utc() + TimeDelta::minutes(minute);
        let changes = self.changes();
        let stretches = [
            (DateTime::<Utc>::MIN_UTC, changes[0].0, self.at_first),
            (changes[0].0, changes[1].0, changes[0].1),
            (changes[1].0, DateTime::<Utc>::MAX_UTC, changes[1].1),
        ];
        let passes = stretches.map(|(from, to, minutes)| Some(local - TimeDelta::minutes(minutes)).filter(|at| (from..to).contains(at)));
        let gap = || changes.into_iter().map(|(at, _)| at).min_by_key(|at| (*at - local).abs()).expect("two changes");
        passes.into_iter().flatten().min().unwrap_or_else(gap)
    }

    /// Each day's, those strictly after `after` and up to `until`.
    pub fn daily(&self, minute: i64, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let days =
            (after - TimeDelta::days(2)).date_naive().iter_days().take_while(|day| *day <= (until + TimeDelta::days(2)).date_naive());
        days.map(|day| self.at(day, minute)).filter(|at| after < *at && *at <= until).collect()
    }
}
