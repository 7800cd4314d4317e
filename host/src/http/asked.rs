//! What a request asks: query parameters and ids, each refused with a code when it makes no sense.
//!
//! Not bodies (`reading`). What must hold: a parameter that nobody reads is refused, so that a typo filters nothing by accident.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use sexton_core::{Blame, EventId, OccurrenceId, Refusal};
use sexton_store::rows::Page;
use std::collections::BTreeMap;
use std::str::FromStr;

use crate::http::answer::No;

/// Rows of a page when nobody says.
const PAGE: usize = 100;
/// Rows of a page at most.
pub const PAGE_MAX: usize = 1_000;

/// The query's pairs, taken out one by one.
#[derive(Debug)]
pub struct Asked(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = No;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, No> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(e) => Err(No(Refusal::new("INP016", Blame::Input, format!("the query is not understood: {e}")))),
        }
    }
}

impl Asked {
    /// The value of a parameter; the last one wins.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let mut found = None;
        self.0.retain_mut(|(k, v)| {
            let ours = k == name;
            if ours {
                found = Some(std::mem::take(v));
            }
            !ours
        });
        found
    }

    /// The value, read as `T`.
    ///
    /// # Errors
    /// `INP016` when it is none.
    pub fn read<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let refused =
            || Refusal::new("INP016", Blame::Input, format!("`{name}` is not understood")).at(&text, 0, text.len()).expected(expected);
        text.parse().map(Some).map_err(|_| refused())
    }

    /// One of the words of an enum that serde reads.
    ///
    /// # Errors
    /// `INP016` with the words that it may be.
    pub fn word<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.take(name) else { return Ok(None) };
        serde_json::from_value(serde_json::Value::String(text.clone()))
            .map(Some)
            .map_err(|e| Refusal::new("INP016", Blame::Input, format!("`{name}` is not understood: {e}")).at(&text, 0, text.len()))
    }

    /// Every `label=k=v`.
    ///
    /// # Errors
    /// `INP016` for one without `=`.
    pub fn labels(&mut self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut labels = BTreeMap::new();
        for (_, text) in self.0.extract_if(.., |(k, _)| k == "label") {
            let Some((k, v)) = text.split_once('=') else {
                return Err(Refusal::new("INP016", Blame::Input, "`label` is not understood").at(&text, 0, text.len()).expected("K=V"));
            };
            labels.insert(k.to_owned(), v.to_owned());
        }
        Ok(labels)
    }

    /// An instant.
    ///
    /// # Errors
    /// `INP006`.
    pub fn instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        self.take(name).map(|text| sexton_core::schedule::instant::parse(&text)).transpose()
    }

    /// `limit`, within bounds.
    ///
    /// # Errors
    /// `INP016`, or `INP015` past the bound.
    pub fn limit(&mut self) -> Result<usize, Refusal> {
        let limit = self.read::<usize>("limit", "a whole number")?.unwrap_or(PAGE);
        if (1..=PAGE_MAX).contains(&limit) {
            return Ok(limit);
        }
        let refusal = Refusal::new("INP015", Blame::Input, format!("a page of {limit} rows is not given"));
        Err(refusal.expected(format!("`limit` from 1 to {PAGE_MAX}")).remedy("ask for pages: `next` of one is `before` of the following"))
    }

    /// `limit` and a numeric `before`.
    ///
    /// # Errors
    /// As [`Asked::limit`].
    pub fn page(&mut self) -> Result<Page, Refusal> {
        Ok(Page { before: self.read("before", "`next` of the page before")?, limit: self.limit()? })
    }

    /// Refuses whatever was not taken.
    ///
    /// # Errors
    /// `INP016` with the parameter's name.
    pub fn done(self) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::new("INP016", Blame::Input, format!("there is no parameter `{name}` here"))),
        }
    }
}

/// An event's id.
///
/// # Errors
/// `INP017`.
pub fn event_id(text: &str) -> Result<EventId, Refusal> {
    text.parse().map_err(|e: sexton_core::ids::NotAnId| Refusal::new("INP017", Blame::Input, e.to_string()).at(text, 0, text.len()))
}

/// An occurrence's id.
///
/// # Errors
/// `INP017`.
pub fn occurrence_id(text: &str) -> Result<OccurrenceId, Refusal> {
    text.parse().map_err(|e: sexton_core::ids::NotAnId| Refusal::new("INP017", Blame::Input, e.to_string()).at(text, 0, text.len()))
}
