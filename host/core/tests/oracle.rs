//! The differential suite: what independent programs say about schedules, row for row.
//!
//! The rows are made by `tests/oracle/generate.py`, which says which program is wrong where. Not tables worked out by hand (`times`). What must
//! hold: each row of each file is read and answered, and agrees with `design` where the row has it, else with `next`; what does not is in
//! the list below with its reason, and the list holds nothing else.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sexton_core::calendar::Calendars;
use sexton_core::import::{Line, read_timer};
use sexton_core::{Refusal, Schedule};
use std::collections::{BTreeMap, BTreeSet};

type Instant = DateTime<Utc>;

/// Rows in which we answer otherwise, each with its reason.
const DEVIATIONS: &[(&str, &str)] = &[(
    "rrule-1470",
    "dateutil takes the number of weeks of the year before from the wrong year's length: 1 January 2023 lies in week 52 of weeks from Tuesday",
)];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    #[serde(default)]
    expr: Option<String>,
    #[serde(default)]
    rrule: Option<String>,
    #[serde(default)]
    on_calendar: Option<String>,
    /// The expression as systemd writes it.
    #[serde(default)]
    normalized: Option<String>,
    #[serde(default)]
    zone_by: Option<String>,
    #[serde(default)]
    dialect: Option<String>,
    #[serde(default)]
    days: Option<String>,
    #[serde(default)]
    gap: Option<String>,
    #[serde(default)]
    fold: Option<String>,
    #[serde(default)]
    tz: Option<String>,
    #[serde(default)]
    after: Option<Instant>,
    /// Who says so.
    oracle: String,
    next: Vec<Instant>,
    #[serde(default)]
    design: Option<Vec<Instant>>,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    tag: Option<Value>,
    /// How many times a recurrence has in all, if it ends.
    #[serde(default)]
    total: Option<usize>,
    #[serde(default)]
    ends: Option<bool>,
    #[serde(default)]
    never: Option<bool>,
}

impl Row {
    fn expected(&self) -> &[Instant] {
        self.design.as_deref().unwrap_or(&self.next)
    }
}

fn rows(file: &str) -> Vec<Row> {
    let path = format!("{}/../../tests/data/oracle/{file}.ndjson", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let rows: Vec<Row> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}"))).collect();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "{file}: each row has an id of its own");
    assert!(rows.iter().all(|row| row.design.is_some() == row.why.is_some()), "{file}: what the design says otherwise has its reason");
    rows
}

/// What is to be asked of a row: the schedule, from when on, and for how many times.
struct Asked {
    schedule: Schedule,
    after: Instant,
    n: usize,
}

fn json_of(row: &Row) -> Value {
    let parts = [
        ("cron", &row.expr),
        ("rrule", &row.rrule),
        ("tz", &row.tz),
        ("dialect", &row.dialect),
        ("day_match", &row.days),
        ("gap", &row.gap),
        ("fold", &row.fold),
    ];
    parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value.as_ref()?)))).collect::<serde_json::Map<_, _>>().into()
}

fn asked(row: &Row, n: usize) -> Result<Asked, Refusal> {
    let schedule = Schedule::from_json(&json_of(row))?;
    // A row without a time is asked from its start on, which counts.
    let after = match (row.after, &row.rrule) {
        (Some(after), _) => after,
        (None, Some(text)) => start_of(text) - TimeDelta::seconds(1),
        (None, None) => panic!("{}: asked after nothing", row.id),
    };
    Ok(Asked { schedule, after, n })
}

/// The `DTSTART` of a row, in UTC.
fn start_of(text: &str) -> Instant {
    let line = text.lines().find_map(|line| line.strip_prefix("DTSTART:")).expect("a start");
    let civil = chrono::NaiveDateTime::parse_from_str(line.trim_end_matches('Z'), "%Y%m%dT%H%M%S").expect(line);
    civil.and_utc()
}

/// What a file came to.
#[derive(Default)]
struct Tally {
    agreed: usize,
    oracles: BTreeMap<String, usize>,
    zones: BTreeMap<String, usize>,
    /// Rows in which the oracle contradicts the design, and we agree with the design, by reason.
    of_oracles: BTreeMap<String, usize>,
    /// Rows that cannot be said to us, by reason.
    not_taken: BTreeMap<String, usize>,
    wrong: Vec<(String, String)>,
}

impl Tally {
    fn note(&mut self, row: &Row, answer: Result<Vec<Instant>, String>) {
        *self.oracles.entry(row.oracle.clone()).or_default() += 1;
        *self.zones.entry(row.tz.clone().unwrap_or_else(|| "floating".to_owned())).or_default() += 1;
        match answer {
            Ok(found) if found == row.expected() => {
                self.agreed += 1;
                if let Some(why) = &row.why {
                    *self.of_oracles.entry(why.clone()).or_default() += 1;
                }
            }
            Ok(found) => {
                let text = |times: &[Instant]| times.iter().map(DateTime::to_rfc3339).collect::<Vec<_>>().join(" ");
                let (expected, found) = (text(row.expected()), text(&found));
                self.wrong.push((row.id.clone(), format!("{row:?}\n  expected {expected}\n  found    {found}")));
            }
            Err(why) => self.wrong.push((row.id.clone(), format!("{row:?}\n  {why}"))),
        }
    }

    /// Prints the balance, and fails on what is not on the list, and on what is there for nothing.
    fn conclude(self, file: &str, least: usize) {
        let rows = self.oracles.values().sum::<usize>();
        println!("{file}: {rows} rows, {} agree; by oracle {:?}; by zone {:?}", self.agreed, self.oracles, self.zones);
        for (why, n) in &self.of_oracles {
            println!("  {n} of them against the oracle: {why}");
        }
        for (why, n) in &self.not_taken {
            println!("  {n} rows cannot be said: {why}");
        }
        let listed: BTreeMap<&str, &str> = DEVIATIONS.iter().filter(|(id, _)| id.starts_with(file)).copied().collect();
        for (id, _) in &self.wrong {
            if let Some(why) = listed.get(id.as_str()) {
                println!("  {id} deviates: {why}");
            }
        }
        let unlisted: Vec<&String> = self.wrong.iter().filter(|(id, _)| !listed.contains_key(id.as_str())).map(|(_, told)| told).collect();
        let shown = unlisted.iter().take(20).map(|told| told.as_str()).collect::<Vec<_>>().join("\n");
        assert!(unlisted.is_empty(), "{file}: {} of {rows} rows deviate without a reason:\n{shown}", unlisted.len());
        let idle: Vec<&&str> = listed.keys().filter(|id| !self.wrong.iter().any(|(wrong, _)| wrong == *id)).collect();
        assert!(idle.is_empty(), "{file}: {idle:?} agree, and are listed as deviations");
        assert!(rows >= least, "{file}: only {rows} rows");
    }
}

/// The times of a row; counting, walking and the last of them must say the same.
fn answer(asked: &Asked) -> Result<Vec<Instant>, String> {
    let calendars = Calendars::default();
    let told = |refusal: Refusal| refusal.to_string();
    let plan = asked.schedule.plan(&calendars).map_err(told)?;
    let found = plan.upcoming(asked.after, asked.n).map_err(told)?;
    if let Some(last) = found.last() {
        let reach = *last <= asked.after + TimeDelta::days(36_525);
        let count = plan.count(asked.after, *last, i64::MAX).map_err(told)?;
        if reach && usize::try_from(count) != Ok(found.len()) {
            return Err(format!("{} times are walked, {count} are counted", found.len()));
        }
        let latest = plan.latest(asked.after, *last).map_err(told)?;
        if latest != Some(*last) {
            return Err(format!("the last of them is {last}, {latest:?} is said"));
        }
    }
    Ok(found)
}

fn run(file: &str, n: usize, least: usize) {
    let mut tally = Tally::default();
    for row in rows(file) {
        let answer = asked(&row, n).map_err(|refusal| refusal.to_string()).and_then(|asked| answer(&asked));
        tally.note(&row, answer);
    }
    tally.conclude(file, least);
}

#[test]
fn cron_in_zones() {
    run("cron", 6, 4_000);
}

#[test]
fn gaps_and_folds_as_switched() {
    run("options", 6, 500);
}

#[test]
fn cron_on_the_calendar() {
    run("calendar", 6, 1_000);
}

#[test]
fn quartz() {
    run("quartz", 6, 800);
}

#[test]
fn recurrences_in_zones() {
    run("zoned", 6, 500);
}

#[test]
fn recurrences() {
    let mut tally = Tally::default();
    let mut never = 0;
    for row in rows("rrule") {
        let asked = asked(&row, 8).unwrap_or_else(|refusal| panic!("{}: {refusal}", row.id));
        let answered = answer(&asked).and_then(|found| {
            let calendars = Calendars::default();
            let plan = asked.schedule.plan(&calendars).map_err(|refusal| refusal.to_string())?;
            if let (Some(true), Some(total)) = (row.ends, row.total) {
                let all = plan.upcoming(asked.after, total + 1).map_err(|refusal| refusal.to_string())?;
                if all.len() != total {
                    return Err(format!("{total} times in all, {} are found", all.len()));
                }
            }
            if row.never == Some(true) {
                never += 1;
                let code = asked.schedule.clone().settle(asked.after, &calendars).map(|_| ()).map_err(|refusal| refusal.code);
                if code != Err("INP007".to_owned()) {
                    return Err(format!("it never fires, and is answered {code:?}"));
                }
            }
            Ok(found)
        });
        tally.note(&row, answered);
    }
    assert!(never > 0, "some of the rules never fire");
    tally.conclude("rrule", 1_500);
}

/// Lines that cannot be taken are named: no more than these, by the beginning of what is said.
#[test]
fn timers_of_systemd() {
    let mut tally = Tally::default();
    for row in rows("systemd") {
        let (Some(on_calendar), Some(tz), Some(after)) = (&row.on_calendar, &row.tz, row.after) else { panic!("{row:?}") };
        assert!(row.normalized.is_some() && row.tag.is_none(), "{row:?}");
        let machine = if row.zone_by.as_deref() == Some("suffix") { "UTC" } else { tz };
        let timer = format!("[Timer]\nOnCalendar={on_calendar}\n");
        let lines = read_timer("row.timer", &timer, Some("[Service]\nExecStart=/bin/true\n"), machine);
        let taken = match lines.as_slice() {
            [Line::Taken(taken)] => taken,
            [Line::NotTaken(not)] => {
                *tally.oracles.entry(row.oracle.clone()).or_default() += 1;
                *tally.not_taken.entry(format!("{}: {on_calendar}", not.why)).or_default() += 1;
                continue;
            }
            other => panic!("{}: {other:?}", row.id),
        };
        let schedule = Schedule::from_json(&taken.schedule_json).unwrap_or_else(|refusal| panic!("{}: {refusal}", row.id));
        tally.note(&row, answer(&Asked { schedule, after, n: 5 }));
    }
    let not_taken: usize = tally.not_taken.values().sum();
    assert!(not_taken * 10 <= tally.agreed, "{not_taken} rows cannot be said: {:?}", tally.not_taken);
    tally.conclude("systemd", 600);
}

#[test]
fn every_deviation_has_a_reason_and_a_file() {
    for (id, why) in DEVIATIONS {
        assert!(!why.is_empty(), "{id}");
        let is_known =
            ["cron-", "options-", "calendar-", "quartz-", "zoned-", "rrule-", "systemd-"].iter().any(|file| id.starts_with(file));
        assert!(is_known, "{id}");
    }
}
