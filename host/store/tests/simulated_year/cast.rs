//! The events of the year: each kind of schedule, in zones whose clocks change in different ways.
//!
//! Not their fates. What must hold: each is settled by the core as the host would do it.

use chrono::TimeDelta;
use serde_json::{Value, json};

/// The type that is always served, and the one that is gone for two weeks.
pub const TYPES: [&str; 2] = ["acme.ring_bell", "acme.open_door"];

/// An event as the year sees it.
pub struct Role {
    pub name: &'static str,
    pub of_type: usize,
    pub schedule: Value,
    /// What it may be edited to.
    pub edits: Vec<Value>,
    pub attempts: u32,
    /// Daily at that local minute of the day in that zone, all year.
    pub daily: Option<(&'static str, i64)>,
    /// The longest wait in elapsed time between the end of one occurrence and the start of the next, when nothing is in the way.
    pub silence: Option<TimeDelta>,
}

fn role(name: &'static str, schedule: Value) -> Role {
    Role { name, of_type: 0, schedule, edits: Vec::new(), attempts: 3, daily: None, silence: None }
}

impl Role {
    fn edits(mut self, edits: &[Value]) -> Self {
        self.edits = edits.to_vec();
        self.edits.push(self.schedule.clone());
        self
    }

    fn daily(mut self, hour: i64, minute: i64) -> Self {
        let zone = self.schedule["tz"].as_str().expect("a daily one has a zone");
        self.daily =
            Some((super::days::ZONES.iter().map(|zone| zone.name).find(|name| *name == zone).expect("a known zone"), hour * 60 + minute));
        self
    }

    fn silent(mut self, most: TimeDelta) -> Self {
        self.silence = Some(most);
        self
    }

    fn absent(mut self) -> Self {
        self.of_type = 1;
        self
    }

    fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }
}

/// All of them.
pub fn cast() -> Vec<Role> {
    let mut cast = fixed_times();
    cast.extend(rhythms());
    cast.extend(bounded());
    cast
}

fn fixed_times() -> Vec<Role> {
    vec![
        role("02:30 in Paris", json!({ "cron": "30 2 * * *", "tz": "Europe/Paris" })).daily(2, 30),
        role("02:30 in New York", json!({ "cron": "30 2 * * *", "tz": "America/New_York", "misfire": "all", "catch_up": "3d" }))
            .daily(2, 30),
        role("02:15 on Lord Howe", json!({ "cron": "15 2 * * *", "tz": "Australia/Lord_Howe", "misfire": "earliest" })).daily(2, 15),
        role("00:30 in Santiago", json!({ "cron": "30 0 * * *", "tz": "America/Santiago", "misfire": "skip" })).daily(0, 30),
        role("00:30 in Beirut", json!({ "cron": "30 0 * * *", "tz": "Asia/Beirut", "misfire": "all", "catch_up": "12h", "jitter": "10m" }))
            .daily(0, 30),
        role("02:30 in Casablanca", json!({ "cron": "30 2 * * *", "tz": "Africa/Casablanca", "jitter": "5m" }))
            .edits(&[json!({ "cron": "45 2,14 * * *", "tz": "Africa/Casablanca", "misfire": "all" })]),
        role("01:30 twice in New York", json!({ "cron": "30 1 * * *", "tz": "America/New_York", "fold": "both", "gap": "skip" })),
        role("01:45 at last on Lord Howe", json!({ "cron": "45 1 * * *", "tz": "Australia/Lord_Howe", "fold": "last", "misfire": "all" })),
        role("weekdays at 09:00", json!({ "cron": "0 9 * * MON-FRI", "tz": "Europe/Paris", "exclude": ["holidays"] }))
            .edits(&[json!({ "cron": "30 8 * * MON-SAT", "tz": "Europe/Paris", "exclude": ["holidays"], "misfire": "all" })]),
        role("last day of the month", json!({ "cron": "0 18 L * *", "tz": "America/New_York", "misfire": "earliest", "catch_up": "30d" })),
        role(
            "each day",
            json!({ "every": "1 day", "anchor": "2027-01-01T01:30:00Z", "tz": "Europe/Paris", "misfire": "all", "catch_up": "5d" }),
        ),
        role("each month", json!({ "every": "1 month", "anchor": "2027-01-31T15:00:00Z", "tz": "America/New_York" })),
        role(
            "last workday",
            json!({ "rrule": "DTSTART:20270101T170000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "tz": "Europe/Paris" }),
        ),
        role(
            "Sundays but two",
            json!({ "rrule": "DTSTART:20270103T023000\nRRULE:FREQ=WEEKLY;BYDAY=SU\nEXDATE:20270328T023000,20270704T023000",
                    "tz": "Europe/Paris", "misfire": "earliest", "catch_up": "10d" }),
        )
        .edits(&[json!({ "rrule": "DTSTART:20270102T001500\nRRULE:FREQ=WEEKLY;BYDAY=SA,SU", "tz": "America/Santiago" })]),
        role(
            "05:00 with little patience",
            json!({ "cron": "0,20,40 5 * * *", "tz": "America/New_York", "misfire": "all", "catch_up": "2d", "expires": "30m" }),
        ),
        role(
            "each half hour of the night",
            json!({ "cron": "0,30 0-2 * * *", "tz": "America/Havana", "misfire": "earliest", "expires": "50m" }),
        ),
    ]
}

fn rhythms() -> Vec<Role> {
    vec![
        role(
            "each half hour",
            json!({ "cron": "*/30 * * * *", "tz": "Australia/Lord_Howe", "start": "2027-03-25T00:00:00Z", "end": "2027-10-10T00:00:00Z" }),
        )
        .silent(TimeDelta::minutes(30)),
        role("each hour", json!({ "cron": "0 * * * *", "tz": "Africa/Casablanca", "misfire": "all", "catch_up": "6h" }))
            .edits(&[json!({ "cron": "*/40 * * * *", "tz": "Europe/Paris", "misfire": "earliest", "end": "2027-12-20T00:00:00Z" })])
            .silent(TimeDelta::hours(1)),
        role("each six hours", json!({ "every": "6h", "misfire": "earliest" })).silent(TimeDelta::hours(6)),
        role("each 90 minutes", json!({ "every": "90m", "misfire": "skip", "start": "2027-05-10T00:00:00Z" }))
            .edits(&[json!({ "every": "80m", "anchor": "2027-01-01T00:05:00Z" })])
            .silent(TimeDelta::minutes(90)),
        role("three hours after", json!({ "after": "3h" })).silent(TimeDelta::hours(3)).attempts(1),
        role("a hundred minutes after", json!({ "after": "100m", "misfire": "skip", "expires": "20m" })).silent(TimeDelta::minutes(100)),
        role("office hours", json!({ "cron": "20 * * * *", "tz": "Europe/Paris", "only": ["office"], "exclude": ["holidays"] })),
        role("each two hours, absent", json!({ "every": "2h", "misfire": "all", "catch_up": "1d" })).silent(TimeDelta::hours(2)).absent(),
    ]
}

fn bounded() -> Vec<Role> {
    vec![
        role("sixty noons", json!({ "cron": "0 12 * * *", "tz": "UTC", "misfire": "earliest", "max_runs": 60 })),
        role(
            "till May, ten minutes' patience",
            json!({ "every": "1 day", "anchor": "2027-01-01T07:00:00Z", "end": "2027-05-01T12:00:00Z", "expires": "10m", "misfire": "earliest" }),
        ),
        role("03:15, absent", json!({ "cron": "15 3 * * *", "tz": "UTC" })).absent(),
        role("once, in summer", json!({ "once": "2027-06-15T12:00:00Z" })),
        role("once, with an hour's patience", json!({ "once": "2027-06-15T12:30:00Z", "expires": "1h" })),
        role("once, in winter", json!({ "once": "2027-12-24T18:00:00Z", "jitter": "30m", "expires": "20d" })),
        role("when asked", json!({ "manual": true })),
    ]
}
