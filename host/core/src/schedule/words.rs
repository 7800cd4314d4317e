//! A schedule in words and on the reader's clock: for previews and explanations.
//!
//! Not the instants themselves. What must hold: nothing here decides when something runs.

use super::text::instant_text;
use super::{Fold, Gap, Misfire, Rule, Schedule, cron, duration, follows, rrule, zone};
use crate::refusal::Refusal;
use chrono::{DateTime, FixedOffset, Offset, Utc};

impl Schedule {
    /// The instant on the clock of the schedule's zone (UTC for kinds without one).
    pub fn on_its_clock(&self, at: DateTime<Utc>) -> Result<DateTime<FixedOffset>, Refusal> {
        self.tz().map_or_else(|| Ok(at.with_timezone(&Utc.fix())), |tz| zone::on_clock_of(tz, at))
    }

    /// In English, some sentences. Refused only if the schedule does not hold (`INP003`, `INP023`).
    pub fn describe(&self) -> Result<String, Refusal> {
        let mut said = vec![match &self.rule {
            Rule::Once { when } => format!("Once, at {}.", instant_text(*when)),
            Rule::Every { step, anchor, tz } => {
                let through = anchor.map_or_else(String::new, |anchor| format!(" through {}", instant_text(anchor)));
                match step.civil() {
                    None => format!("Every {}, on a fixed grid in elapsed time{through}.", step.words()),
                    Some(_) => format!("Every {} on the calendar of {}{through}.", step.words(), tz.as_deref().unwrap_or("UTC")),
                }
            }
            Rule::After { delay } => format!("{} after the end of each run.", duration::words(*delay)),
            Rule::Cron { expression, tz, options } => {
                let pattern = cron::read(expression, *options)?;
                let class = if pattern.elapsed_like { " It follows elapsed time when the clocks change." } else { "" };
                format!("{} Read on the clocks of {tz}.{class}", pattern.words())
            }
            Rule::Rrule { text, tz } => format!("{} Read on the clocks of {tz}.", sentence(&rrule::read(text)?.rules.words())),
            Rule::Follows { links } => follows::words(links),
            Rule::Manual => "Only when somebody says so.".to_owned(),
        }];
        said.extend(self.terms_in_words());
        Ok(said.join(" "))
    }

    fn terms_in_words(&self) -> Vec<String> {
        let terms = &self.terms;
        let gap = terms.gap.map(|gap| match gap {
            Gap::Shift => "Times that the clocks jump over give one occurrence, when they have jumped.",
            Gap::Skip => "Times that the clocks jump over are left out.",
        });
        let fold = terms.fold.map(|fold| match fold {
            Fold::First => "A time that comes twice counts at its first pass.",
            Fold::Last => "A time that comes twice counts at its second pass.",
            Fold::Both => "A time that comes twice counts twice.",
        });
        let named = |word: &str, names: &[String]| (!names.is_empty()).then(|| format!("{word} {}.", names.join(" and ")));
        let misfire = match terms.misfire {
            Misfire::Latest => None,
            Misfire::Earliest => Some("After downtime one run makes up for all, meant for the earliest.".to_owned()),
            Misfire::All => Some("After downtime each missed occurrence is run.".to_owned()),
            Misfire::Skip => Some("What downtime missed is not run.".to_owned()),
        };
        [
            terms.start.map(|start| format!("Not before {}.", instant_text(start))),
            terms.end.map(|end| format!("Not after {}.", instant_text(end))),
            terms.max_runs.map(|runs| if runs == 1 { "Once only.".to_owned() } else { format!("{runs} times at most.") }),
            named("Never inside the calendar", &terms.exclude),
            named("Only inside the calendar", &terms.only),
            terms.jitter.map(|jitter| format!("Spread over the {} after each time.", duration::words(jitter))),
            terms.expires.map(|expires| format!("Skipped when {} late.", duration::words(expires))),
            gap.map(str::to_owned),
            fold.map(str::to_owned),
            misfire,
            terms.catch_up.map(|window| format!("Missed occurrences are made up for {} back.", duration::words(window))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn sentence(words: &str) -> String {
    if words.ends_with('.') { words.to_owned() } else { format!("{words}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn instants_stand_on_the_clock_of_the_zone() {
        let paris = Schedule::cron("0 2 * * *", "Europe/Paris");
        assert_eq!(paris.on_its_clock(at("2026-01-01T00:00:00Z")).expect("a zone").to_rfc3339(), "2026-01-01T01:00:00+01:00");
        assert_eq!(paris.on_its_clock(at("2026-07-01T00:00:00Z")).expect("a zone").to_rfc3339(), "2026-07-01T02:00:00+02:00");
        assert_eq!(Schedule::manual().on_its_clock(at("2026-07-01T00:00:00Z")).expect("UTC").to_rfc3339(), "2026-07-01T00:00:00+00:00");
        assert_eq!(Schedule::cron("* * * * *", "Mars/Base").on_its_clock(at("2026-01-01T00:00:00Z")).expect_err("no zone").code, "INP004");
    }

    #[test]
    fn schedules_and_their_terms_have_words() {
        let mut schedule = Schedule::cron("0 2 * * *", "Europe/Paris");
        assert!(schedule.describe().expect("good").ends_with("Read on the clocks of Europe/Paris."));
        schedule.terms.exclude = vec!["holidays".to_owned(), "audits".to_owned()];
        schedule.terms.max_runs = Some(3);
        schedule.terms.fold = Some(Fold::Both);
        schedule.terms.misfire = Misfire::Skip;
        let said = schedule.describe().expect("good");
        assert!(
            said.ends_with(
                "3 times at most. Never inside the calendar holidays and audits. A time that comes twice counts twice. What downtime \
                 missed is not run."
            ),
            "{said}"
        );
        assert_eq!(Schedule::cron("0 99 * * *", "UTC").describe().expect_err("hour 99").code, "INP003");
        assert_eq!(Schedule::manual().describe().expect("good"), "Only when somebody says so.");
    }
}
