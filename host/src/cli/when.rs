//! The flags that say when: exactly one kind of schedule with its terms, as JSON for the host.
//!
//! Not the parser of schedules (`sexton-core`). What must hold: every text is read by the
//! parser that the host uses, so that there is one sentence for each mistake.

use crate::cli::Failure;
use crate::client::Trouble;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Map, Value, json};
use sexton_core::schedule::{duration, follows, instant};
use sexton_core::{Blame, Refusal, Schedule};

/// One of the kinds of schedule.
#[derive(Clone, Debug, Default, Args)]
pub struct When {
    /// Once, at an instant
    #[arg(long, value_name = "RFC3339", group = "when", help_heading = "When")]
    pub at: Option<String>,
    /// Once, after a duration from now
    #[arg(long = "in", value_name = "DURATION", group = "when", help_heading = "When")]
    pub after_now: Option<String>,
    /// On a fixed grid: `90s` and `24h` in elapsed time, `1 day` and `1 month` on the calendar of --tz
    #[arg(long, value_name = "STEP", group = "when", help_heading = "When")]
    pub every: Option<String>,
    /// A delay after each completion
    #[arg(long, value_name = "DURATION", group = "when", help_heading = "When")]
    pub after_each: Option<String>,
    /// By a cron expression of 5, 6 or 7 fields, or @daily, @every 90s and the like
    #[arg(long, value_name = "EXPR", group = "when", help_heading = "When")]
    pub cron: Option<String>,
    /// By a recurrence rule of RFC 5545, such as FREQ=MONTHLY;BYDAY=-1FR
    #[arg(long, value_name = "RULE", group = "when", help_heading = "When")]
    pub rrule: Option<String>,
    /// When this event has come to an end: by its success, or as said; said again: when all of them have
    #[arg(long, value_name = "ID[:success|failure|any]", group = "when", help_heading = "When")]
    pub follows: Vec<String>,
    /// Only by `event run-now`
    #[arg(long, group = "when", help_heading = "When")]
    pub manual: bool,
    /// Zone, bounds and policies of it.
    #[command(flatten)]
    pub terms: Terms,
}

/// What bounds and bends a schedule.
#[derive(Clone, Debug, Default, Args)]
pub struct Terms {
    /// The IANA zone of --cron, --rrule and --every in days, such as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE", help_heading = "When")]
    pub tz: Option<String>,
    /// A point of the grid of --every [default: --start, or now]
    #[arg(long, value_name = "RFC3339", help_heading = "Terms of the schedule")]
    pub anchor: Option<String>,
    /// No instant before this one
    #[arg(long, value_name = "RFC3339", help_heading = "Terms of the schedule")]
    pub start: Option<String>,
    /// No instant after this one
    #[arg(long, value_name = "RFC3339", help_heading = "Terms of the schedule")]
    pub end: Option<String>,
    /// Completed after so many occurrences
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Terms of the schedule")]
    pub max_runs: Option<u32>,
    /// An occurrence that has not started so long after its time is skipped
    #[arg(long, value_name = "DURATION", help_heading = "Terms of the schedule")]
    pub expires: Option<String>,
    /// Spread occurrences over so long after their time, always by the same part
    #[arg(long, value_name = "DURATION", help_heading = "Terms of the schedule")]
    pub jitter: Option<String>,
    /// Never inside this calendar (may be repeated)
    #[arg(long, value_name = "CALENDAR", help_heading = "Terms of the schedule")]
    pub exclude: Vec<String>,
    /// Only inside this calendar (may be repeated)
    #[arg(long, value_name = "CALENDAR", help_heading = "Terms of the schedule")]
    pub only: Vec<String>,
    /// What is done about missed occurrences: one run for all of them, as the latest or the earliest; each; none [default: latest]
    #[arg(long, value_name = "POLICY", value_parser = ["latest", "earliest", "all", "skip"], help_heading = "Terms of the schedule")]
    pub misfire: Option<String>,
    /// How far back missed occurrences are made up for [default: 24h]
    #[arg(long, value_name = "DURATION", help_heading = "Terms of the schedule")]
    pub catch_up: Option<String>,
    /// Times that the clocks jump over: one occurrence at the end of the gap, or none [default: by its class]
    #[arg(long, value_name = "RULE", value_parser = ["shift", "skip"], help_heading = "Terms of the schedule")]
    pub gap: Option<String>,
    /// Which pass counts of a time that comes twice [default: by its class]
    #[arg(long, value_name = "RULE", value_parser = ["first", "last", "both"], help_heading = "Terms of the schedule")]
    pub fold: Option<String>,
    /// Whose numbers of weekdays: 0 or 7 is Sunday, or Quartz' 1 [default: vixie]
    #[arg(long, value_name = "NAME", value_parser = ["vixie", "quartz"], help_heading = "Terms of the schedule")]
    pub dialect: Option<String>,
    /// With both a day of the month and a day of the week: either fits, or both must [default: or]
    #[arg(long, value_name = "RULE", value_parser = ["or", "and"], help_heading = "Terms of the schedule")]
    pub day_match: Option<String>,
}

impl When {
    /// The schedule's JSON; `None` when nothing was said.
    ///
    /// # Errors
    /// `INP005`, `INP006` for a duration or time that is not understood; `INP016` for what does not go together.
    pub fn schedule(&self, now: DateTime<Utc>) -> Result<Option<Value>, Failure> {
        let follows = self.follows.join(",");
        let said = [
            ("once", self.at.as_deref()),
            ("in", self.after_now.as_deref()),
            ("every", self.every.as_deref()),
            ("after", self.after_each.as_deref()),
            ("cron", self.cron.as_deref()),
            ("rrule", self.rrule.as_deref()),
            ("follows", (!follows.is_empty()).then_some(follows.as_str())),
            ("manual", self.manual.then_some("")),
        ];
        match said.into_iter().find_map(|(kind, text)| Some((kind, text?))) {
            Some((kind, text)) => self.terms.with(kind, text, now).map(Some).map_err(|refusal| Failure::Input(self.in_flags(refusal))),
            None if self.terms.written().is_empty() => Ok(None),
            None => Err(Failure::Input(
                Refusal::new("INP016", Blame::Input, "the terms say nothing without a kind of schedule")
                    .expected("one of --at --in --every --after-each --cron --rrule --follows --manual beside them"),
            )),
        }
    }

    /// What the host said, in the words of these flags if it is about what goes together.
    #[must_use]
    pub fn told(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Refused(refusal) if refusal.code == "INP016" => Failure::Host(self.in_flags(refusal)),
            other => other.into(),
        }
    }

    /// A refusal of the schedule in the words of these flags: whoever typed them never saw the JSON.
    #[must_use]
    pub fn in_flags(&self, refusal: Refusal) -> Refusal {
        let once = if self.after_now.is_some() { "--in" } else { "--at" };
        in_flags(refusal, |kind| match kind {
            "once" => once.to_owned(),
            "after" => "--after-each".to_owned(),
            kind => format!("--{kind}"),
        })
    }
}

const KINDS: [&str; 7] = ["once", "every", "after", "cron", "rrule", "follows", "manual"];
const TERMS: [&str; 15] = [
    "tz",
    "anchor",
    "start",
    "end",
    "max_runs",
    "expires",
    "jitter",
    "exclude",
    "only",
    "misfire",
    "catch_up",
    "gap",
    "fold",
    "dialect",
    "day_match",
];

/// The names of the JSON form as flags: `kind` says how the command line spells a kind.
pub fn in_flags(mut refusal: Refusal, kind: impl Fn(&str) -> String) -> Refusal {
    let kinds = KINDS.map(|name| (name, kind(name)));
    let terms = TERMS.map(|name| (name, format!("--{}", name.replace('_', "-"))));
    // What was found stays as it was typed.
    for text in [Some(&mut refusal.message), refusal.expected.as_mut(), refusal.remedy.as_mut()].into_iter().flatten() {
        for (name, flag) in kinds.iter().chain(&terms) {
            *text = text.replace(&format!("`{name}`"), &format!("`{flag}`"));
        }
    }
    refusal
}

impl Terms {
    /// The calendars that are named.
    pub fn calendars(&self) -> impl Iterator<Item = &str> {
        self.exclude.iter().chain(&self.only).map(String::as_str)
    }

    /// The schedule's JSON with these terms: `kind` as in JSON, or `in`.
    ///
    /// # Errors
    /// As the kinds refuse.
    pub fn with(&self, kind: &str, text: &str, now: DateTime<Utc>) -> Result<Value, Refusal> {
        self.check_texts()?;
        let mut schedule = self.written();
        let said = match kind {
            "manual" => json!(true),
            "follows" => json!(follows::parse(text)?),
            "in" => serde_json::to_value(Schedule::once_in(text, now)?).expect("a schedule is JSON")["once"].take(),
            _ => json!(text),
        };
        schedule.insert(if kind == "in" { "once" } else { kind }.to_owned(), said);
        let schedule = Schedule::from_json(&Value::Object(schedule))?;
        Ok(serde_json::to_value(schedule).expect("a schedule is JSON"))
    }

    /// Times and durations, each refused under its flag's name: several look alike.
    fn check_texts(&self) -> Result<(), Refusal> {
        let named = |flag: &str, refusal: Refusal| Refusal { message: format!("`{flag}`: {}", refusal.message), ..refusal };
        for (flag, text) in [("--anchor", &self.anchor), ("--start", &self.start), ("--end", &self.end)] {
            text.as_deref().map(instant::parse).transpose().map_err(|refusal| named(flag, refusal))?;
        }
        for (flag, text) in [("--expires", &self.expires), ("--jitter", &self.jitter), ("--catch-up", &self.catch_up)] {
            text.as_deref().map(duration::parse).transpose().map_err(|refusal| named(flag, refusal))?;
        }
        Ok(())
    }

    fn written(&self) -> Map<String, Value> {
        let texts = [
            ("tz", &self.tz),
            ("anchor", &self.anchor),
            ("start", &self.start),
            ("end", &self.end),
            ("expires", &self.expires),
            ("jitter", &self.jitter),
            ("misfire", &self.misfire),
            ("catch_up", &self.catch_up),
            ("gap", &self.gap),
            ("fold", &self.fold),
            ("dialect", &self.dialect),
            ("day_match", &self.day_match),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        let lists = [("exclude", &self.exclude), ("only", &self.only)].into_iter().filter(|(_, list)| !list.is_empty());
        let lists = lists.map(|(name, list)| (name.to_owned(), json!(list)));
        texts.chain(lists).chain(self.max_runs.map(|runs| ("max_runs".to_owned(), json!(runs)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_flag_is_a_kind() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (When { at: some("2026-12-24T18:00:00+01:00"), ..When::default() }, json!({"once": "2026-12-24T17:00:00Z"})),
            (When { after_now: some("90s"), ..When::default() }, json!({"once": "2026-01-01T00:01:30Z"})),
            (When { every: some("5m"), ..When::default() }, json!({"every": "5m"})),
            (When { after_each: some("5m"), ..When::default() }, json!({"after": "5m"})),
            (When { cron: some("0 2 * * *"), ..When::default() }, json!({"cron": "0 2 * * *", "tz": "UTC"})),
            (
                When { follows: vec!["05jp19e000800".to_owned(), "05jp19e000801:any".to_owned()], ..When::default() },
                json!({"follows": [{"event": "05jp19e000800", "on": "success"}, {"event": "05jp19e000801", "on": "any"}]}),
            ),
            (When { manual: true, ..When::default() }, json!({"manual": true})),
        ];
        for (when, schedule) in cases {
            assert_eq!(when.schedule(now).expect("good"), Some(schedule));
        }
        assert_eq!(When::default().schedule(now).expect("nothing said"), None);
        let refused = [
            (When { after_now: some("soon"), ..When::default() }, "INP005"),
            (When { at: some("tomorrow"), ..When::default() }, "INP006"),
            (When { rrule: some("FREQ=NEVER"), ..When::default() }, "INP023"),
            (When { follows: vec!["05jp19e000800:often".to_owned()], ..When::default() }, "INP016"),
            (When { every: some("5m"), terms: Terms { start: some("zz"), ..Terms::default() }, ..When::default() }, "INP006"),
            (When { every: some("5m"), terms: Terms { jitter: some("zz"), ..Terms::default() }, ..When::default() }, "INP005"),
            (When { terms: Terms { tz: some("Europe/Paris"), ..Terms::default() }, ..When::default() }, "INP016"),
        ];
        for (when, code) in refused {
            assert!(matches!(when.schedule(now), Err(Failure::Input(r)) if r.code == code), "{when:?}");
        }
    }

    #[test]
    fn terms_go_beside_their_kind() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let some = |text: &str| Some(text.to_owned());
        let terms = Terms {
            tz: some("Europe/Paris"),
            start: some("2026-02-01T00:00:00Z"),
            end: some("2026-03-01T00:00:00Z"),
            max_runs: Some(3),
            expires: some("10m"),
            jitter: some("30s"),
            exclude: vec!["holidays".to_owned()],
            only: vec!["office".to_owned(), "summer".to_owned()],
            misfire: some("skip"),
            catch_up: some("2h"),
            gap: some("skip"),
            fold: some("both"),
            dialect: some("quartz"),
            day_match: some("and"),
            anchor: None,
        };
        let when = When { cron: some("0 0 2 ? * 2"), terms, ..When::default() };
        assert_eq!(
            when.schedule(now).expect("good"),
            Some(json!({
                "cron": "0 0 2 ? * 2", "tz": "Europe/Paris", "start": "2026-02-01T00:00:00Z", "end": "2026-03-01T00:00:00Z", "max_runs": 3,
                "expires": "10m", "jitter": "30s", "exclude": ["holidays"], "only": ["office", "summer"], "misfire": "skip",
                "catch_up": "2h", "gap": "skip", "fold": "both", "dialect": "quartz", "day_match": "and",
            }))
        );
    }

    #[test]
    fn a_refusal_speaks_of_flags() {
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let some = |text: &str| Some(text.to_owned());
        for (when, said) in [
            (
                When { manual: true, terms: Terms { tz: some("UTC"), ..Terms::default() }, ..When::default() },
                "`--tz` does not go with `--manual`",
            ),
            (
                When { after_now: some("5s"), terms: Terms { day_match: some("and"), ..Terms::default() }, ..When::default() },
                "`--day-match` does not go with `--in`",
            ),
            (
                When {
                    after_each: some("5s"),
                    terms: Terms { anchor: some("2026-01-01T00:00:00Z"), ..Terms::default() },
                    ..When::default()
                },
                "`--anchor` does not go with `--after-each`",
            ),
        ] {
            let Err(Failure::Input(refusal)) = when.schedule(now) else { panic!("{when:?} is taken") };
            assert_eq!(refusal.message, said);
            assert!(refusal.expected.is_some_and(|expected| expected.contains("`--")), "{said}");
        }
        let terms = Terms { catch_up: some("soon"), ..Terms::default() };
        let Err(Failure::Input(refusal)) = (When { every: some("5m"), terms, ..When::default() }).schedule(now) else { panic!("taken") };
        assert!(refusal.message.starts_with("`--catch-up`: ") && refusal.place.is_some(), "{refusal}");
    }
}
