//! Ids as types, so that no bare integer crosses a module.
//!
//! Not a source of randomness or time: [`EventIds`] is told the time. What must hold: an event id is never given twice
//! by one host, rises with time, and its text form sorts as the number does.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Crockford's base 32, lower case: no `i l o u`, sorts as the numbers do.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 13;
/// 2024-01-01T00:00:00Z in milliseconds; ids count from here.
const EPOCH_MS: i64 = 1_704_067_200_000;
const HOST_BITS: u32 = 8;
const SEQUENCE_BITS: u32 = 13;

/// The id of a scheduled event: 42 bits of milliseconds, 8 bits of host, 13 bits of sequence. Text: 13 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub i64);

/// The small number by which the store knows an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypeId(pub i64);

/// One occurrence: `<event id>.<n>`; `n` counts from 1 on the event and is never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OccurrenceId {
    /// The event it belongs to.
    pub event: EventId,
    /// Its ordinal on the event.
    pub n: i64,
}

/// A text that is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: expected 13 characters of 0-9 a-z without i, l, o, u (an occurrence adds `.` and a number)")]
pub struct NotAnId(pub String);

/// Gives event ids for one host. `host` is the small number that the store gave the host.
#[derive(Debug)]
pub struct EventIds {
    host: i64,
    last: i64,
}

impl EventIds {
    /// Starts after `greatest_known`, so that a clock set back gives no id twice.
    #[must_use]
    pub fn new(host: u8, greatest_known: Option<EventId>) -> Self {
        let last = greatest_known.map_or(0, |id| ((id.0 >> (HOST_BITS + SEQUENCE_BITS)) << SEQUENCE_BITS) | ((1 << SEQUENCE_BITS) - 1));
        Self { host: i64::from(host), last }
    }

    /// The next id at `now_ms` (Unix milliseconds). Rises even if the clock does not.
    pub fn next(&mut self, now_ms: i64) -> EventId {
        let by_clock = (now_ms - EPOCH_MS).max(1) << SEQUENCE_BITS;
        self.last = by_clock.max(self.last + 1);
        let (ms, sequence) = (self.last >> SEQUENCE_BITS, self.last & ((1 << SEQUENCE_BITS) - 1));
        EventId((ms << (HOST_BITS + SEQUENCE_BITS)) | (self.host << SEQUENCE_BITS) | sequence)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; TEXT_LEN];
        for (i, place) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - i);
            #[expect(clippy::cast_sign_loss, reason = "masked to five bits")]
            let digit = ((self.0 >> shift) & 31) as usize;
            *place = ALPHABET[digit];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let refused = || NotAnId(text.to_owned());
        if text.len() != TEXT_LEN {
            return Err(refused());
        }
        let mut value: i64 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|a| *a == byte.to_ascii_lowercase()).ok_or_else(refused)?;
            value = value.checked_mul(32).and_then(|v| v.checked_add(i64::try_from(digit).ok()?)).ok_or_else(refused)?;
        }
        Ok(Self(value))
    }
}

impl fmt::Display for OccurrenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.n)
    }
}

impl fmt::Debug for OccurrenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OccurrenceId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let refused = || NotAnId(text.to_owned());
        let (event, n) = text.split_once('.').ok_or_else(refused)?;
        let n: i64 = n.parse().map_err(|_| refused())?;
        Ok(Self { event: event.parse().map_err(|_| refused())?, n })
    }
}

macro_rules! serde_as_text {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
serde_as_text!(EventId);
serde_as_text!(OccurrenceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree_and_sort_alike() {
        let mut ids = EventIds::new(3, None);
        let mut earlier = ids.next(EPOCH_MS + 5);
        for i in 0..20_000 {
            let id = ids.next(EPOCH_MS + 5 + i / 1000);
            assert!(id > earlier && id.to_string() > earlier.to_string());
            assert_eq!(id.to_string().parse(), Ok(id));
            earlier = id;
        }
        let again = EventIds::new(3, Some(earlier)).next(EPOCH_MS);
        assert!(again > earlier, "a clock set back gives no id twice");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "1", "zzzzzzzzzzzzz", "0000000000000i", "000000000000u", "0000000000001.", ".1"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
            assert!(text.parse::<OccurrenceId>().is_err(), "{text}");
        }
    }
}
