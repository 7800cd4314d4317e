//! What to say to a piece that is not understood: the mistakes that people make with cron, and the way out of each.
//!
//! Not the decision that something is wrong. What must hold: a remedy is an expression or a word that would be accepted in that place.

use super::Dialect;
use super::field::{DAYS, Field, Kind, MONTHS, is_number};
use super::spot::Spot;
use crate::refusal::Refusal;

const LONG_MONTHS: [&str; 12] =
    ["JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"];
const LONG_DAYS: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
/// A number this great in the last of six fields was meant for a year.
const LEAST_YEAR: u16 = 1_970;

/// A value or name that the field does not have.
pub(super) fn of_atom(field: &Field<'_>, atom: Spot<'_>) -> Refusal {
    let refusal = field.not_understood(atom);
    let upper = atom.as_str().to_ascii_uppercase();
    let remedy = if is_number(&upper) { of_number(field, atom) } else { of_word(field.kind, &upper) };
    match remedy {
        Some(remedy) => refusal.remedy(remedy),
        None => refusal,
    }
}

fn of_number(field: &Field<'_>, atom: Spot<'_>) -> Option<String> {
    let number: u16 = atom.as_str().parse().ok()?;
    let text = match (field.kind, number) {
        (Kind::Second, 60) => "seconds end at 59: write 0, the first second of the next minute",
        (Kind::Minute, 60) => "minutes end at 59: write 0, the first minute of the next hour",
        (Kind::Hour, 24) => "hours end at 23: write 0, the first hour of the next day",
        (Kind::DayOfMonth | Kind::Month, 0) => "days and months count from 1",
        (Kind::DayOfWeek, 0) if field.dialect == Dialect::Quartz => "in the quartz dialect 1 is Sunday and 7 is Saturday: write 1 or SUN",
        (Kind::DayOfWeek, LEAST_YEAR..) if atom.text.split_whitespace().count() == 6 => {
            let seven = format!("0 {}", atom.text.trim());
            return Some(format!("of six fields the first is the second; a year is the seventh: `{seven}`"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn of_word(kind: Kind, upper: &str) -> Option<String> {
    if upper == "H" || upper.starts_with("H(") {
        return Some("`H` is a number that Jenkins chooses: write one of your choice".to_owned());
    }
    let (is_month, is_day) = (nearest(upper, &MONTHS, &LONG_MONTHS), nearest(upper, &DAYS, &LONG_DAYS));
    let own = match kind {
        Kind::Month => is_month,
        Kind::DayOfWeek => is_day,
        Kind::Second | Kind::Minute | Kind::Hour | Kind::DayOfMonth | Kind::Year => None,
    };
    if let Some(name) = own {
        return Some(format!("write `{name}`"));
    }
    let exact = |names: &[&str]| names.contains(&upper);
    match kind {
        _ if exact(&MONTHS) => Some(format!("`{upper}` belongs in the month field")),
        _ if exact(&DAYS) => Some(format!("`{upper}` belongs in the day of week field")),
        Kind::DayOfMonth if upper.contains('#') => Some("`#` belongs in the day of week field: `FRI#2` is the second Friday".to_owned()),
        Kind::DayOfWeek if upper.ends_with('W') => Some("`W` belongs in the day of month field; the weekdays are `MON-FRI`".to_owned()),
        Kind::DayOfMonth | Kind::DayOfWeek => None,
        _ if upper == "?" => Some("`?` is for the day fields: write `*`".to_owned()),
        _ if upper.contains(['L', 'W', '#']) => Some("`L`, `W` and `#` are for the day fields".to_owned()),
        _ => None,
    }
}

/// An item whose parts do not go together.
pub(super) fn of_item(field: &Field<'_>, item: Spot<'_>) -> Refusal {
    let refusal = field.not_understood(item);
    let upper = item.as_str().to_ascii_uppercase();
    let remedy = match (field.kind, upper.as_str()) {
        (_, text) if text.strip_prefix('/').is_some_and(is_number) => format!("a step needs a start: `*{text}`"),
        (Kind::Year, text) if text.contains('-') && !text.starts_with('-') && !text.contains("-/") && !text.ends_with('-') => {
            "years do not come round: the earlier one stands first".to_owned()
        }
        (Kind::DayOfWeek, "L") => {
            "say which last day is meant, such as `FRIL`; the last day of the month is `L` in the day of month field".to_owned()
        }
        (Kind::DayOfWeek, text) if text.contains('#') => "a weekday and its number from 1 to 5: `FRI#2` is the second Friday".to_owned(),
        (Kind::DayOfMonth, text) if text.contains("-L") => format!("a range to the last day ends with 31: `{}`", text.replace("-L", "-31")),
        (Kind::DayOfMonth, text) if text.starts_with('L') => {
            "`L`, `L-1` to `L-30`, `LW`, `L-3W`; steps and ranges have none of them".to_owned()
        }
        (Kind::DayOfMonth, text) if text.contains('W') => "`W` goes with a single day from 1 to 31: `15W`, `1W,15W`".to_owned(),
        (_, "?") => "`?` stands alone".to_owned(),
        _ => return refusal,
    };
    refusal.remedy(remedy)
}

/// A step of nothing, or beyond its field.
pub(super) fn of_step(field: &Field<'_>, item: Spot<'_>, step: &str) -> Refusal {
    let refusal = field.not_understood(item);
    if step.bytes().all(|b| b == b'0') {
        return refusal.remedy("a step is at least 1");
    }
    let unit = match field.kind {
        Kind::Second => "s",
        Kind::Minute => "m",
        Kind::Hour => "h",
        Kind::DayOfMonth | Kind::Month | Kind::DayOfWeek | Kind::Year => {
            return refusal.remedy("such a step takes the first value only: write that value alone");
        }
    };
    refusal.remedy(format!("such a step takes the first value only: write that alone, or use `--every {step}{unit}`"))
}

/// The name that was meant: a long form, a beginning of it, one letter off, or at least a beginning that no other has.
fn nearest(upper: &str, names: &[&'static str], long: &[&'static str]) -> Option<&'static str> {
    let pairs = || names.iter().zip(long);
    let begun = pairs().find(|(name, long)| upper.starts_with(**name) && (long.starts_with(upper) || is_near(upper, long)));
    let begun = begun.or_else(|| pairs().find(|(name, _)| upper.len() == name.len() + 1 && upper.starts_with(**name)));
    let near = begun.or_else(|| pairs().find(|(name, long)| is_near(upper, name) || upper.len() > 4 && is_near(upper, long)));
    let start = upper.get(..2).filter(|_| upper.len() > 3 && !names.iter().any(|name| upper.starts_with(name)));
    near.or_else(|| start.and_then(|start| alone(pairs().filter(|(name, _)| name.starts_with(start))))).map(|(name, _)| *name)
}

fn alone<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Whether two words differ by one letter: another one, one too many or too few, or two that changed places.
fn is_near(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one.as_bytes(), other.as_bytes()) } else { (other.as_bytes(), one.as_bytes()) };
    if short.len() < 2 || long.len() - short.len() > 1 {
        return false;
    }
    let same_before = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let same_after = short.iter().rev().zip(long.iter().rev()).take_while(|(a, b)| a == b).count();
    if short.len() < long.len() {
        return same_before + same_after >= short.len();
    }
    let differ = short.len().saturating_sub(same_before + same_after);
    differ <= 1 || differ == 2 && short[same_before] == long[same_before + 1] && short[same_before + 1] == long[same_before]
}
