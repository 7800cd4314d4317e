//! Calendars under their names, and the gate that a schedule makes of several.
//!
//! Not where they are kept. What must hold: a name that is not there is refused, it never means "always open"; open is inside every calendar
//! to keep to, and outside every one to leave out.

use super::{Calendar, Span};
use crate::refusal::{Blame, Refusal};
use crate::spelling::distance;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most letters of a name.
const NAME_MAX: usize = 64;
const NEAR: usize = 3;

/// Calendars by name. Cheap to clone: the calendars are shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendars(BTreeMap<String, Arc<Calendar>>);

impl Calendars {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a calendar under a name, in place of the one that was there, which is answered. Refuses (`INP024`) what is no name.
    pub fn insert(&mut self, name: &str, calendar: Arc<Calendar>) -> Result<Option<Arc<Calendar>>, Refusal> {
        check_name(name)?;
        Ok(self.0.insert(name.to_owned(), calendar))
    }

    /// Takes a calendar away and answers it.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Calendar>> {
        self.0.remove(name)
    }

    /// The calendar of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Calendar>> {
        self.0.get(name)
    }

    /// Names and calendars, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Calendar>)> {
        self.0.iter().map(|(name, calendar)| (name.as_str(), calendar))
    }

    /// Refuses (`INP026`) the first name that is not there.
    pub fn check(&self, names: &[String]) -> Result<(), Refusal> {
        names.iter().try_for_each(|name| self.known(name).map(drop))
    }

    /// Whether the gate is open at an instant: inside every calendar of `only` and outside every one of `exclude`. Without any it is always
    /// open. Refuses (`INP026`) a name that is not there, and what [`Calendar::span_at`] refuses.
    pub fn open_at(&self, exclude: &[String], only: &[String], at: DateTime<Utc>) -> Result<Span, Refusal> {
        let (mut open, mut closes, mut opens) = (true, None::<DateTime<Utc>>, None::<DateTime<Utc>>);
        for (name, open_inside) in only.iter().map(|name| (name, true)).chain(exclude.iter().map(|name| (name, false))) {
            let span = self.known(name)?.span_at(at)?;
            if span.inside == open_inside {
                closes = closes.into_iter().chain([span.until]).min();
            } else {
                open = false;
                opens = opens.max(Some(span.until));
            }
        }
        // Open until the first of them shuts; shut until the last of those that are shut now can have opened.
        let until = if open { closes } else { opens };
        Ok(Span { inside: open, until: until.unwrap_or_else(|| super::span(at, open, None).until) })
    }

    fn known(&self, name: &str) -> Result<&Calendar, Refusal> {
        self.0.get(name).map(Arc::as_ref).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let shown: String = name.chars().take(NAME_MAX).collect();
        let refusal = Refusal::new("INP026", Blame::Input, format!("there is no calendar `{shown}`"))
            .expected("the name of a calendar that is there")
            .at(&shown, 0, shown.len());
        let mut near: Vec<(usize, &String)> = self.0.keys().map(|known| (distance(&shown, known), known)).collect();
        near.retain(|(away, known)| *away <= 2.max(known.chars().count() / 3));
        near.sort();
        let near: Vec<String> = near.into_iter().take(NEAR).map(|(_, name)| format!("`{name}`")).collect();
        match near.is_empty() {
            true => refusal.remedy("store the calendar first, or leave its name out of the schedule"),
            false => refusal.remedy(format!("did you mean {}?", near.join(" or "))),
        }
    }
}

/// Refuses (`INP024`) what is no name of a calendar: 1 to 64 lower-case letters, digits, `-` and `_`, the first a letter.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let wrong = name.char_indices().find(|(_, letter)| !letter.is_ascii() || !u8::try_from(*letter).is_ok_and(fits));
    let refused = |start: usize, end: usize, message: String| {
        super::read::refused(message).expected("1 to 64 lower-case letters, digits, `-` and `_`, the first a letter").at(name, start, end)
    };
    match (wrong, name.as_bytes().first()) {
        (_, None) => Err(refused(0, 0, "the name of the calendar is empty".to_owned())),
        (Some((at, letter)), _) => Err(refused(at, at + letter.len_utf8(), format!("`{letter}` is not for the name of a calendar"))),
        (None, Some(first)) if !first.is_ascii_lowercase() => Err(refused(0, 1, "the name of a calendar begins with a letter".to_owned())),
        _ if name.len() > NAME_MAX => Err(refused(NAME_MAX, name.len(), "the name of the calendar is too long".to_owned())),
        _ => Ok(()),
    }
}
