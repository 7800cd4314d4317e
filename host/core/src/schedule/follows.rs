//! Chains: an event that runs when others have come to an end. How that is written, and what of it is accepted.
//!
//! Not the decision when it runs (`decide::chain`), and not whether the others exist: the store knows. What must hold: an event is named once.

use crate::ids::EventId;
use crate::refusal::{Blame, Refusal};
use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashSet;
use std::fmt;

/// The most events that one event follows.
pub const LINKS_MAX: usize = 32;

const WRITTEN: &str = "an event's id, or an object with `event` and, if wanted, `on`: success, failure or any";

/// Which end of an occurrence counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// It succeeded, at whichever attempt.
    #[default]
    Success,
    /// It failed for good: it became a dead letter.
    Failure,
    /// Either, or it was cancelled.
    Any,
}

impl On {
    /// The word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Any => "any",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Any].into_iter().find(|on| on.word() == word)
    }
}

/// An event that is followed. JSON: `{"event": "<id>", "on": "success|failure|any"}`, or `"<id>"` for its success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Link {
    /// Which.
    pub event: EventId,
    /// Which end of it counts.
    pub on: On,
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            event: EventId,
            #[serde(default)]
            on: On,
        }
        impl<'de> Visitor<'de> for Written {
            type Value = Link;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(WRITTEN)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Link, E> {
                Ok(Link { event: text.parse().map_err(E::custom)?, on: On::Success })
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Link, M::Error> {
                let Full { event, on } = Full::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Link { event, on })
            }
        }
        from.deserialize_any(Written)
    }
}

/// Reads `ID[:success|failure|any]`, several with commas between them.
///
/// # Errors
/// `INP016` with the place of what is not understood.
pub fn parse(text: &str) -> Result<Vec<Link>, Refusal> {
    let (mut links, mut at) = (Vec::new(), 0);
    for part in text.split(',') {
        let (id, on) = part.split_once(':').map_or((part, On::Success.word()), |(id, on)| (id, on));
        let (Ok(event), Some(on)) = (id.parse(), On::of(on)) else {
            return Err(Refusal::new("INP016", Blame::Input, "what is to be followed is not understood")
                .expected("an event's id, and behind it, if wanted, `:success`, `:failure` or `:any`")
                .at(text, at, at + part.len()));
        };
        links.push(Link { event, on });
        at += part.len() + 1;
    }
    Ok(links)
}

/// Refuses none, too many, and one twice.
pub(super) fn check(links: &[Link]) -> Result<(), Refusal> {
    if links.is_empty() {
        return Err(Refusal::new("INP016", Blame::Input, "the schedule follows nothing").expected(WRITTEN));
    }
    if links.len() > LINKS_MAX {
        return Err(Refusal::new("INP015", Blame::Input, "the schedule follows too many events: the limit is exceeded")
            .expected(format!("at most {LINKS_MAX}"))
            .found(links.len().to_string()));
    }
    let mut seen = HashSet::with_capacity(links.len());
    match links.iter().find(|link| !seen.insert(link.event)) {
        None => Ok(()),
        Some(twice) => Err(Refusal::new("INP016", Blame::Input, format!("the schedule follows event {} twice", twice.event))
            .remedy("name it once; `any` counts every end of it")),
    }
}

/// In English: when it runs.
pub(super) fn words(links: &[Link]) -> String {
    let said = |link: &Link| match link.on {
        On::Success => format!("event {} has succeeded", link.event),
        On::Failure => format!("event {} has failed for good", link.event),
        On::Any => format!("event {} has come to an end", link.event),
    };
    match links {
        [one] => format!("Whenever {}. It has no times of its own.", said(one)),
        several => {
            let each: Vec<String> = several.iter().map(said).collect();
            format!("Once all of these have come about since it ran last: {}. It has no times of its own.", each.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use chrono::Utc;
    use serde_json::json;

    fn id(n: i64) -> EventId {
        EventId(n)
    }

    #[test]
    fn the_short_form_is_success_and_what_is_written_is_read_back() {
        let (one, two) = (id(1).to_string(), id(2).to_string());
        let schedule = Schedule::from_json(&json!({"follows": [one, {"event": two, "on": "any"}], "max_runs": 3})).expect("good");
        assert_eq!(schedule, {
            let mut same = Schedule::follows(vec![Link { event: id(1), on: On::Success }, Link { event: id(2), on: On::Any }]);
            same.terms.max_runs = Some(3);
            same
        });
        let written = serde_json::to_value(&schedule).expect("JSON");
        assert_eq!(written, json!({"follows": [{"event": one, "on": "success"}, {"event": two, "on": "any"}], "max_runs": 3}));
        assert_eq!(Schedule::from_json(&written).expect("good"), schedule);
        assert_eq!(
            parse(&format!("{one},{two}:any")).expect("good"),
            [Link { event: id(1), on: On::Success }, Link { event: id(2), on: On::Any }]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_sentence() {
        let one = id(1).to_string();
        let code = |form: serde_json::Value| {
            let read = Schedule::from_json(&form).and_then(|schedule| schedule.settle(Utc::now(), &crate::calendar::Calendars::new()));
            read.expect_err("refused").code
        };
        assert_eq!(code(json!({"follows": []})), "INP016");
        assert_eq!(code(json!({"follows": [one, {"event": one, "on": "failure"}]})), "INP016");
        assert_eq!(code(json!({"follows": ["nobody"]})), "INP011");
        assert_eq!(code(json!({"follows": [{"event": one, "on": "sometimes"}]})), "INP011");
        assert_eq!(code(json!({"follows": [{"event": one, "when": "any"}]})), "INP011");
        assert_eq!(code(json!({"follows": [one], "manual": true})), "INP016");
        for term in ["exclude", "only"] {
            assert_eq!(code(json!({"follows": [one], term: ["holidays"]})), "INP016", "{term}");
        }
        for (term, value) in [("misfire", json!("all")), ("catch_up", json!("1h")), ("gap", json!("skip")), ("tz", json!("UTC"))] {
            assert_eq!(code(json!({"follows": [one], term: value})), "INP016", "{term}");
        }
        let many: Vec<String> = (0..=LINKS_MAX).map(|n| id(i64::try_from(n).expect("small")).to_string()).collect();
        assert_eq!(code(json!({"follows": many})), "INP015");
        let refusal = parse(&format!("{one},{one}:often")).expect_err("no such word");
        let place = refusal.place.expect("a place");
        assert_eq!(&place.text[place.start..place.end], format!("{one}:often"));
    }

    #[test]
    fn it_has_no_instants_and_says_in_words_when_it_runs() {
        let calendars = crate::calendar::Calendars::new();
        let now = Utc::now();
        let schedule = Schedule::follows(vec![Link { event: id(1), on: On::Success }]).settle(now, &calendars).expect("good");
        let plan = schedule.plan(&calendars).expect("good");
        assert_eq!((plan.first(now).expect("asked"), plan.next_after(now).expect("asked")), (None, None));
        assert_eq!((schedule.kind(), schedule.recurs(), schedule.is_elapsed_like(), schedule.tz()), ("follows", false, false, None));
        assert_eq!(schedule.describe().expect("words"), format!("Whenever event {} has succeeded. It has no times of its own.", id(1)));
        let fan_in = Schedule::follows(vec![Link { event: id(1), on: On::Failure }, Link { event: id(2), on: On::Any }]);
        let said = fan_in.describe().expect("words");
        assert!(said.contains("has failed for good; ") && said.contains("come to an end"), "{said}");
    }
}
