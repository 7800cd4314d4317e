//! Verbs on all of a kind: the filters in their bodies, a page at a time, and the cancelling of runs and events by them.
//!
//! Not verbs on one. What must hold: a filter that says nothing is refused unless `all` is said, so that a slip does not take everything.

use crate::engine::cancel::{self, Which};
use crate::http::Shared;
use crate::http::answer::{Answer, No, blocking, ok};
use crate::http::asked::{PAGE_MAX, event_id};
use crate::http::door::Peer;
use crate::http::reading::{self, Raw};
use axum::extract::{ConnectInfo, State};
use serde::{Deserialize, Serialize};
use sexton_core::schedule::instant;
use sexton_core::{Blame, ErrorCode, EventState, OccurrenceId, Refusal};
use sexton_store::Store;
use sexton_store::rows::{DeadFilter, EventFilter, Page};
use std::collections::BTreeMap;

/// What a verb on many may be told. Each verb refuses what means nothing to it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Told {
    filter: Filter,
    /// Everything is meant.
    all: bool,
    /// Only count, or only name.
    pub dry_run: bool,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Of one page.
    limit: Option<usize>,
}

/// Which; absent = any.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Filter {
    r#type: Option<String>,
    event: Option<String>,
    plugin: Option<String>,
    bot: Option<String>,
    labels: BTreeMap<String, String>,
    since: Option<String>,
    reason: Option<String>,
    code: Option<ErrorCode>,
    state: Option<EventState>,
}

/// What was cancelled of the runs under way.
#[derive(Serialize)]
pub struct Cancelling {
    cancelling: Vec<OccurrenceId>,
}

/// What a page of events came to.
#[derive(Serialize)]
pub struct Cancelled {
    done: u64,
    running: Vec<OccurrenceId>,
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<u64>,
}

fn refuse(message: &str) -> Refusal {
    Refusal::new("INP016", Blame::Input, message.to_owned())
}

impl Told {
    /// Reads a body.
    ///
    /// # Errors
    /// `INP011`.
    pub fn read(body: Raw) -> Result<Self, No> {
        Ok(reading::object(&reading::text(body)?)?)
    }

    /// Rows of a page.
    ///
    /// # Errors
    /// `INP015` past the bound.
    pub fn limit(&self) -> Result<usize, Refusal> {
        let limit = self.limit.unwrap_or(PAGE_MAX);
        if (1..=PAGE_MAX).contains(&limit) {
            return Ok(limit);
        }
        let refusal = Refusal::new("INP015", Blame::Input, format!("a page of {limit} rows is not taken"));
        Err(refusal.expected(format!("`limit` from 1 to {PAGE_MAX}")).remedy("go on with `after`: the `next` of the page before"))
    }

    /// Dead letters.
    ///
    /// # Errors
    /// `INP016` for what means nothing to them, or if everything would be taken unsaid; `INP017`, `INP006`.
    pub fn dead_letters(&self) -> Result<DeadFilter, Refusal> {
        let Filter { r#type, event, plugin, bot, labels, since, reason, code, state } = &self.filter;
        meaningless(&[("plugin", plugin.is_some()), ("state", state.is_some())])?;
        let filter = DeadFilter {
            event_type: r#type.clone(),
            event: event.as_deref().map(event_id).transpose()?,
            since: since.as_deref().map(instant::parse).transpose()?,
            reason: reason.clone(),
            code: *code,
            bot: bot.clone(),
            labels: labels.clone(),
        };
        self.must_be_meant(filter.takes_all())?;
        Ok(filter)
    }

    fn runs(&self) -> Result<Which, Refusal> {
        let Filter { r#type, event, plugin, bot, labels, since, reason, code, state } = &self.filter;
        let absent = [("since", since.is_some()), ("reason", reason.is_some()), ("code", code.is_some()), ("state", state.is_some())];
        meaningless(&absent)?;
        let which = Which {
            event_type: r#type.clone(),
            event: event.as_deref().map(event_id).transpose()?,
            plugin: plugin.clone(),
            bot: bot.clone(),
            labels: labels.clone(),
        };
        self.must_be_meant(which.takes_all())?;
        Ok(which)
    }

    /// Events, always of one state: what was cancelled is not met again.
    fn events(&self) -> Result<EventFilter, Refusal> {
        let Filter { r#type, event, plugin, bot, labels, since, reason, code, state } = &self.filter;
        let (other, when) = (event.is_some() || plugin.is_some(), since.is_some() || reason.is_some());
        meaningless(&[("event` or `plugin", other), ("since` or `reason", when), ("code", code.is_some())])?;
        let state = state.unwrap_or(EventState::Scheduled);
        if !matches!(state, EventState::Scheduled | EventState::Paused) {
            return Err(refuse("only events that are scheduled or paused can be cancelled").expected("`state` scheduled or paused"));
        }
        self.must_be_meant(r#type.is_none() && bot.is_none() && labels.is_empty())?;
        Ok(EventFilter {
            event_type: r#type.clone(),
            state: Some(state),
            bot: bot.clone(),
            labels: labels.clone(),
            ..EventFilter::default()
        })
    }

    fn must_be_meant(&self, takes_all: bool) -> Result<(), Refusal> {
        if takes_all && !self.all {
            return Err(refuse("the filter takes everything, and nobody said so")
                .expected("a filter, or `\"all\": true`")
                .remedy("say which: on the command line by --type, --label and the like, or --all"));
        }
        Ok(())
    }
}

fn meaningless(said: &[(&str, bool)]) -> Result<(), Refusal> {
    match said.iter().find(|(_, is_said)| *is_said) {
        Some((name, _)) => Err(refuse(&format!("`{name}` in the filter means nothing here"))),
        None => Ok(()),
    }
}

/// `POST /in-flight/cancel`.
pub async fn cancel_runs(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, body: Raw) -> Answer<Cancelling> {
    let told = Told::read(body)?;
    let which = told.runs()?;
    let cancelling = blocking(move || Ok::<_, No>(rooms.engine.cancel_runs(&which, told.dry_run, &peer.actor())));
    ok(Cancelling { cancelling: cancelling.await? })
}

/// `POST /events/cancel`.
pub async fn cancel_events(State(rooms): State<Shared>, ConnectInfo(peer): ConnectInfo<Peer>, body: Raw) -> Answer<Cancelled> {
    let told = Told::read(body)?;
    let (filter, limit) = (told.events()?, told.limit()?);
    let before = told.after.as_deref().map(event_id).transpose()?;
    let cancelled = blocking(move || -> Result<_, No> {
        if told.dry_run {
            let matched = Some(count(rooms.store.as_ref(), &filter)?);
            return Ok(Cancelled { done: 0, running: Vec::new(), next: None, matched });
        }
        let page = Page { before: before.map(|id| id.0), limit };
        let cancel::Events { done, running, next } = rooms.engine.cancel_events(&filter, &page, &peer.actor())?;
        Ok(Cancelled { done, running, next: next.map(|id| id.to_string()), matched: None })
    });
    ok(cancelled.await?)
}

fn count(store: &dyn Store, filter: &EventFilter) -> Result<u64, No> {
    let (mut matched, mut before) = (0, None);
    loop {
        let events = store.events(filter, &Page { before, limit: PAGE_MAX })?;
        matched += u64::try_from(events.len()).unwrap_or(u64::MAX);
        match events.last().filter(|_| events.len() == PAGE_MAX) {
            Some(last) => before = Some(last.id.0),
            None => return Ok(matched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Told {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn everything_is_taken_only_if_it_is_said() {
        for all in ["{}", r#"{"filter": {}}"#, r#"{"dry_run": true}"#, r#"{"filter": {"labels": {}}}"#] {
            let told = told(all);
            let codes = [told.runs().map(drop), told.events().map(drop), told.dead_letters().map(drop)].map(|end| end.expect_err(all).code);
            assert_eq!(codes, ["INP016", "INP016", "INP016"], "{all}");
        }
        let all = told(r#"{"all": true}"#);
        assert!(all.runs().is_ok() && all.events().is_ok() && all.dead_letters().is_ok());
        let some = told(r#"{"filter": {"type": "a.b"}}"#);
        assert!(some.runs().is_ok() && some.events().is_ok() && some.dead_letters().is_ok());
        // A state alone is still every event.
        assert!(told(r#"{"filter": {"state": "paused"}}"#).events().is_err());
    }

    #[test]
    fn what_means_nothing_to_a_verb_is_refused() {
        assert!(told(r#"{"filter": {"type": "a.b", "reason": "x"}}"#).runs().is_err());
        assert!(told(r#"{"filter": {"type": "a.b", "code": "timeout"}}"#).events().is_err());
        assert!(told(r#"{"filter": {"type": "a.b", "plugin": "p"}}"#).dead_letters().is_err());
        assert!(told(r#"{"filter": {"type": "a.b", "state": "completed"}}"#).events().is_err());
        assert!(serde_json::from_str::<Told>(r#"{"filter": {"typ": "a.b"}}"#).is_err());
        let filter = told(r#"{"filter": {"code": "timeout", "since": "2027-01-01T00:00:00Z", "event": "05jp19e000800"}}"#);
        assert!(filter.dead_letters().is_ok_and(|filter| filter.code == Some(ErrorCode::Timeout) && filter.event.is_some()));
    }

    #[test]
    fn a_page_has_its_bound() {
        assert_eq!(told("{}").limit().ok(), Some(PAGE_MAX));
        assert_eq!(told(r#"{"limit": 7}"#).limit().ok(), Some(7));
        for wrong in [0, PAGE_MAX + 1] {
            assert_eq!(told(&format!(r#"{{"limit": {wrong}}}"#)).limit().expect_err("past it").code, "INP015");
        }
    }
}
