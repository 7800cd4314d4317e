//! Reading cron expressions: which fields there are, what each says, and where a text is wrong.
//!
//! Not the search for times. What must hold: every refusal has a place in the text as it was typed, and a pattern that is made has no empty
//! set of hours, minutes, seconds or months.

use super::clock::Clock;
use super::days::Days;
use super::field::{Field, KINDS, Kind, is_number};
use super::spot::Spot;
use super::years::Years;
use super::{DayMatch, Dialect, Options, Pattern, remedy};
use crate::refusal::Refusal;
use crate::schedule::duration;
use std::time::Duration;

const LONGEST_TEXT: usize = 512;
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const EVERY: &str = "@every";
const SATURDAY: u16 = 6;

/// Reads an expression: 5 fields, 6 (seconds first), 7 (year last), or a nickname. Refuses with `INP003` and the place.
pub(in crate::schedule) fn read(text: &str, options: Options) -> Result<Pattern, Refusal> {
    let whole = Spot { text, start: 0, end: text.len() };
    if text.len() > LONGEST_TEXT {
        let refusal = Spot { start: text.floor_char_boundary(LONGEST_TEXT), ..whole }.refused("the expression is too long");
        return Err(refusal.expected(format!("at most {LONGEST_TEXT} bytes")));
    }
    if let Some((at, found)) = text.char_indices().find(|(_, c)| !c.is_ascii() || c.is_ascii_control() && !c.is_ascii_whitespace()) {
        let spot = Spot { text, start: at, end: at + found.len_utf8() };
        return Err(spot.refused(format!("{found:?} does not belong in a cron expression")));
    }
    if text.trim_start().starts_with('@') {
        return nickname(text);
    }
    let fields = fields_of(text, options.dialect)?;
    let of = |kind: Kind| fields.iter().find(|field| field.kind == kind);
    let set = |kind: Kind, absent: u64| of(kind).map_or(Ok(absent), Field::set);
    // In the order in which they are written, so that the first mistake is the one that is shown.
    let clock = Clock { seconds: set(Kind::Second, 1)?, minutes: set(Kind::Minute, 1)?, hours: set(Kind::Hour, 1)? };
    let mut days = Days::default();
    if let Some(field) = of(Kind::DayOfMonth) {
        days_of_month(field, &mut days)?;
    }
    let months = set(Kind::Month, 0xfff << 1)? >> 1;
    if let Some(field) = of(Kind::DayOfWeek) {
        days_of_week(field, &mut days)?;
    }
    let is_star = |kind: Kind| of(kind).is_none_or(Field::is_star);
    let (month_is_star, week_is_star) = (is_star(Kind::DayOfMonth), is_star(Kind::DayOfWeek));
    days.both = month_is_star || week_is_star || options.day_match == DayMatch::And;
    if options.dialect == Dialect::Quartz {
        one_question_mark(of(Kind::DayOfMonth), of(Kind::DayOfWeek))?;
    }
    let years = of(Kind::Year).map_or(Ok(Years::default()), years)?;
    let is_stepped = |kind: Kind| of(kind).is_some_and(Field::is_stepped_star);
    let elapsed_like = is_stepped(Kind::Minute) || is_stepped(Kind::Hour);
    let months = u16::try_from(months).map_err(|_| whole.refused("the expression is not understood"))?;
    Ok(Pattern { elapsed_like, clock, days, months, years })
}

/// What `@every 90s` asks for, if that is what the text is. The refusal is that of a duration, with its place in this text.
pub(in crate::schedule) fn every(text: &str) -> Option<Result<Duration, Refusal>> {
    let start = text.len() - text.trim_start().len();
    let word = text.get(start..start + EVERY.len()).filter(|word| word.eq_ignore_ascii_case(EVERY))?;
    let rest = &text[start + word.len()..];
    if !rest.is_empty() && !rest.starts_with(|c: char| c.is_whitespace()) {
        return None;
    }
    let span = rest.trim();
    let shift = text.len() - rest.trim_start().len();
    Some(duration::parse(span).map_err(|mut refusal| {
        refusal.place = refusal.place.map(|place| crate::refusal::Place {
            text: text.to_owned(),
            start: (place.start + shift).min(text.len()),
            end: (place.end + shift).min(text.len()),
        });
        refusal
    }))
}

fn nickname(text: &str) -> Result<Pattern, Refusal> {
    let word = text.trim();
    let start = text.len() - text.trim_start().len();
    if let Some((_, expression)) = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return read(expression, Options::default());
    }
    let spot = Spot { text, start, end: start + word.len() };
    if every(text).is_some() {
        let refusal = spot.refused("`@every` is a grid in elapsed time, no times of a calendar");
        return Err(refusal.remedy(format!("use `--every {}`", word[EVERY.len()..].trim())));
    }
    let refusal = spot
        .refused(format!("`{word}` is no nickname of a schedule"))
        .expected("@yearly @annually @monthly @weekly @daily @midnight @hourly, `@every 90s`, or five to seven fields");
    Err(if word.eq_ignore_ascii_case("@reboot") { refusal.remedy("a start of the host is no time; use `--in 1s`") } else { refusal })
}

/// Start and end of each word.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                places.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    places
}

fn fields_of(text: &str, dialect: Dialect) -> Result<Vec<Field<'_>>, Refusal> {
    let places = words(text);
    let is_quartz = dialect == Dialect::Quartz;
    let wanted = match places.len() {
        5 if !is_quartz => &KINDS[1..6],
        6 => &KINDS[..6],
        7 => &KINDS[..],
        count => return Err(wrong_count(text, count, places.get(7).map(|(start, _)| *start), is_quartz)),
    };
    let field =
        |(kind, (start, end)): (&Kind, &(usize, usize))| Field { kind: *kind, dialect, spot: Spot { text, start: *start, end: *end } };
    Ok(wanted.iter().zip(&places).map(field).collect())
}

fn wrong_count(text: &str, count: usize, eighth: Option<usize>, is_quartz: bool) -> Refusal {
    let ends = text.trim_end().len();
    let (start, end) = match (count, eighth) {
        (_, Some(eighth)) => (eighth, ends),
        (0, None) => (0, text.len()),
        (_, None) => (ends, ends),
    };
    let counted = if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
    let refusal = Spot { text, start, end }.refused(format!("the expression has {counted}"));
    if is_quartz {
        let refusal = refusal.expected("6 fields (second, minute, hour, day of month, month, day of week), or 7 (year last)");
        return if count == 5 { refusal.remedy(format!("put `0 ` in front, for the second: `0 {}`", text.trim())) } else { refusal };
    }
    let refusal = refusal.expected(
        "5 fields (minute, hour, day of month, month, day of week), 6 (seconds first), 7 (year last), or a nickname such as @daily",
    );
    if count > 7 { refusal.remedy("give the times alone: the user and the command of a crontab do not belong here") } else { refusal }
}

fn days_of_month(field: &Field<'_>, days: &mut Days) -> Result<(), Refusal> {
    if field.spot.as_str() == "?" {
        days.numbered = u32::MAX >> 1;
        return Ok(());
    }
    for item in field.items()? {
        let text = item.as_str().to_ascii_uppercase();
        if let Some(rest) = text.strip_prefix('L') {
            let (rest, set) = match rest.strip_suffix('W') {
                Some(rest) => (rest, &mut days.near_last),
                None => (rest, &mut days.before_last),
            };
            let before = if rest.is_empty() { Some("0") } else { rest.strip_prefix('-') };
            let before = before.filter(|text| is_number(text)).and_then(|text| text.parse::<u32>().ok()).filter(|before| *before <= 30);
            *set |= 1 << before.ok_or_else(|| remedy::of_item(field, item))?;
        } else if text.ends_with('W') && is_number(&text[..text.len() - 1]) {
            let day = field.value(item.without_last(1)).map_err(|_| remedy::of_item(field, item))?;
            days.near |= 1 << (day - 1);
        } else if text == "?" || text.contains("-L") || text.contains('W') {
            return Err(remedy::of_item(field, item));
        } else {
            for day in field.values(item)? {
                days.numbered |= 1 << (day - 1);
            }
        }
    }
    Ok(())
}

fn days_of_week(field: &Field<'_>, days: &mut Days) -> Result<(), Refusal> {
    if field.spot.as_str() == "?" {
        days.weekly = u8::MAX >> 1;
        return Ok(());
    }
    if field.spot.as_str().starts_with('+') {
        let plus = Spot { end: field.spot.start + 1, ..field.spot };
        let refusal = field.not_understood(plus);
        return Err(refusal.remedy("leave the `+` out and say `day_match = \"and\"`: then a day must match both day fields"));
    }
    for item in field.items()? {
        let text = item.as_str().to_ascii_uppercase();
        if let Some((day, nth)) = item.split_once('#').filter(|(day, _)| !day.is_empty()) {
            let nth = Some(nth.as_str()).filter(|nth| is_number(nth)).and_then(|nth| nth.parse::<usize>().ok());
            let week = nth.and_then(|nth| days.nth.get_mut(nth.checked_sub(1)?)).ok_or_else(|| remedy::of_item(field, item))?;
            *week |= one_day(field.value(day)?);
        } else if text == "L" && field.dialect == Dialect::Quartz {
            days.weekly |= one_day(SATURDAY);
        } else if text.len() > 1 && text.ends_with('L') {
            let day = field.value(item.without_last(1)).map_err(|_| remedy::of_atom(field, item))?;
            days.last |= one_day(day);
        } else if text == "?" || text == "L" || text.starts_with('#') {
            return Err(remedy::of_item(field, item));
        } else {
            for day in field.values(item)? {
                days.weekly |= one_day(day);
            }
        }
    }
    Ok(())
}

fn one_day(day: u16) -> u8 {
    1 << (day % 7)
}

/// Quartz wants the day to be said in one of the two fields and `?` in the other.
fn one_question_mark(month: Option<&Field<'_>>, week: Option<&Field<'_>>) -> Result<(), Refusal> {
    let (Some(month), Some(week)) = (month, week) else { return Ok(()) };
    let said = |field: &Field<'_>, text: &str| field.spot.as_str() == text;
    if said(month, "?") != said(week, "?") || said(month, "*") && said(week, "*") {
        return Ok(());
    }
    let (message, remedy) = if said(week, "?") {
        ("neither of the day fields says which days", "write `*` in one of them")
    } else {
        ("both day fields say which days", "write `?` in the one that is not meant; or use the vixie dialect, which knows either and both")
    };
    Err(week.spot.refused(message).expected("`?` in exactly one of the two day fields, as Quartz has it").remedy(remedy))
}

fn years(field: &Field<'_>) -> Result<Years, Refusal> {
    let items = field.items()?;
    if items.iter().any(|item| item.as_str() == "*") {
        return Ok(Years::default());
    }
    let mut years = Vec::new();
    for item in items {
        years.extend(field.values(item)?);
    }
    Ok(Years::of(&years))
}
