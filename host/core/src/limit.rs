//! Limits that an operator sets: how many at once, and how many in a time, of a type, of a plugin, or of events that share a word.
//!
//! Not the events' own words (`policy`), and not obeying them: the store does. What must hold: what a limit is on is written in one way,
//! `type:acme.ring_bell`.

use crate::decide::rate::Rate;
use crate::refusal::{Blame, Refusal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Bytes of the name that a limit is on.
pub const NAME_BYTES: usize = 256;

/// What kind of thing a limit is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// An event type.
    Type,
    /// All types that a plugin owns.
    Plugin,
    /// All events with that `limit_key`, of any type.
    Key,
}

impl Scope {
    const ALL: [(Self, &'static str); 3] = [(Self::Type, "type"), (Self::Plugin, "plugin"), (Self::Key, "key")];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, word)| word)
    }
}

/// What a limit is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitOn {
    /// Of which kind.
    pub scope: Scope,
    /// Which.
    pub name: String,
}

impl fmt::Display for LimitOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scope.word(), self.name)
    }
}

impl FromStr for LimitOn {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let refused = |why: &str| {
            Refusal::new("INP031", Blame::Input, format!("`{text}` is nothing that a limit can be on: {why}"))
                .expected("type:EVENT_TYPE, plugin:NAME or key:WORD")
        };
        let (word, name) = text.split_once(':').ok_or_else(|| refused("it has no `:`"))?;
        let scope = Scope::ALL.iter().find(|(_, known)| *known == word);
        let (scope, _) = scope.ok_or_else(|| refused(&format!("`{word}` is none of `type`, `plugin`, `key`")))?;
        if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(refused(&format!("a name of 1 to {NAME_BYTES} bytes without control characters follows the `:`")));
        }
        Ok(Self { scope: *scope, name: name.to_owned() })
    }
}

impl Serialize for LimitOn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LimitOn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is on.
    pub on: LimitOn,
    /// How many may be under way at once.
    pub concurrency: Option<u32>,
    /// How many may start in a time.
    pub rate: Option<Rate>,
}

impl Limit {
    /// A limit as it is asked for.
    ///
    /// # Errors
    /// `INP031` if it limits nothing, or lets nothing through, or the rate is none.
    pub fn ask(on: LimitOn, concurrency: Option<u32>, rate: Option<&str>, burst: Option<u32>) -> Result<Self, Refusal> {
        let refused = |why: &str| Refusal::new("INP031", Blame::Input, format!("the limit on {on} is not understood: {why}"));
        if concurrency == Some(0) {
            return Err(refused("a concurrency of 0 lets nothing through").remedy("pause the events, or unload the plugin"));
        }
        if rate.is_none() && burst.is_some() {
            return Err(refused("a burst says nothing without a rate").expected("a rate, as in `10/1m`"));
        }
        if concurrency.is_none() && rate.is_none() {
            return Err(refused("it limits nothing")
                .expected("a concurrency, a rate, or both")
                .remedy("`sexton limit remove` takes one away"));
        }
        let rate = rate.map(|text| Rate::parse(text, burst)).transpose()?;
        Ok(Self { on, concurrency, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limit_is_on_is_read_as_it_is_written() {
        for text in ["type:acme.ring_bell", "plugin:http", "key:db:1 é"] {
            assert_eq!(text.parse::<LimitOn>().expect(text).to_string(), text);
        }
        for text in ["acme", "typ:acme", "type:", "key:a\nb", ":x", &format!("key:{}", "x".repeat(NAME_BYTES + 1))] {
            assert_eq!(text.parse::<LimitOn>().expect_err(text).code, "INP031", "{text}");
        }
    }

    #[test]
    fn a_limit_limits_something_and_lets_something_through() {
        let ask = |concurrency, rate, burst| Limit::ask("key:db".parse().expect("good"), concurrency, rate, burst);
        assert!(ask(Some(1), None, None).is_ok() && ask(None, Some("1/1s"), Some(9)).is_ok());
        for wrong in [ask(None, None, None), ask(Some(0), None, None), ask(Some(1), None, Some(1)), ask(None, Some("fast"), None)] {
            assert_eq!(wrong.expect_err("wrong").code, "INP031");
        }
    }
}
